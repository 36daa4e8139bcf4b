package faults_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A server that is stopped as clients connect stops, as soon as its handlers
// return: it does not wait for a connection that never came up.
func TestStopAsClientsConnect(t *testing.T) {
	const clients = 8
	for name, stop := range map[string]func(*life, testing.TB){"Stop": (*life).kill, "GracefulStop": (*life).retire} {
		t.Run(name, func(t *testing.T) {
			for i := range less(300, 50) {
				t.Run(strconv.Itoa(i), func(t *testing.T) { stopAmong(t, clients, i%clients, stop) })
				if t.Failed() {
					return
				}
			}
		})
	}
}

// stopAmong stops a server with an RPC in flight when some of its clients have
// connected.
func stopAmong(t *testing.T, clients, connected int, stop func(*life, testing.TB)) {
	led := newLedger()
	b, hold := newBackend(led), make(chan struct{})
	b.pause = func(context.Context) { <-hold }
	f := serve(t, listen(t, "127.0.0.1:0"), "callboard", limits{}, b)
	cc, _ := client(t, "passthrough:///"+f.addr)
	ended := make(chan error, 1)
	go func() { _, err := newLoad(t, led).call(cc); ended <- err }()
	comesTo(t, "it is at a handler", func() bool { return f.running.Load() == 1 })
	came := make(chan struct{}, clients)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			nc, err := net.Dial("tcp", f.addr)
			came <- struct{}{}
			if err != nil {
				return
			}
			defer hangUp(nc)
			// Without a word it might never hear that nobody has accepted it.
			_, _ = nc.Write([]byte(http2.ClientPreface))
			for buf := make([]byte, 512); err == nil; {
				_, err = nc.Read(buf)
			}
		})
	}
	for range connected {
		<-came
	}
	go func() {
		all.Wait() // they are told to go, or find nobody
		close(hold)
	}()
	stop(f, t)
	if err := <-ended; err != nil && status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}
