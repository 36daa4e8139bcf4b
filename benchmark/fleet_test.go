package main

import (
	"context"
	"net"
	"testing"
	"time"
)

// TestBareServersServeEveryStack also sees that connections are counted: what a
// fleet calls up is what the servers say.
func TestBareServersServeEveryStack(t *testing.T) {
	const n = 3
	for name, st := range known {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			b, err := startBareServers(n)
			if err != nil {
				t.Fatal(err)
			}
			defer b.stop()
			_, open, err := connectFleet(ctx, b, st)
			if err != nil {
				t.Error(err)
			}
			if got := b.settled.Load(); got != n*fleetChannels {
				t.Errorf("%d connections, want %d", got, n*fleetChannels)
			}
			open.close()
			if err := b.await(ctx, 0); err != nil {
				t.Errorf("closed channels leave connections: %v", err)
			}
		})
	}
}

// TestBareServersStop ends connections whose client stays.
func TestBareServersStop(t *testing.T) {
	b, err := startBareServers(1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bareConn(b.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	silent, err := net.Dial("tcp", b.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.stop()
	}()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Error("stop waits for clients")
	}
}

// TestAFleetThatIsNotCompleteFails asks for a server that nobody reaches: the
// figures of half a fleet would look like good ones.
func TestAFleetThatIsNotCompleteFails(t *testing.T) {
	for name, st := range known {
		t.Run(name, func(t *testing.T) {
			b, err := startBareServers(2)
			if err != nil {
				t.Fatal(err)
			}
			defer b.stop()
			if err := b.liss[1].Close(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			f, open, err := connectFleet(ctx, b, st)
			open.close()
			if err == nil {
				t.Errorf("a server is away: %+v", f)
			}
		})
	}
}
