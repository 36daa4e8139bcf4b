package faults_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

const (
	perConn = 10 // streams that a server allows on a connection
	crowd   = 100
)

// openAll opens n streams at a time, each with a message there and back.
func (l *load) openAll(t *testing.T, cc grpc.ClientConnInterface, n int) []*dialogue {
	t.Helper()
	all := make([]*dialogue, n)
	var wait sync.WaitGroup
	for i := range all {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		wait.Go(func() {
			ctx, id := l.led.id(ctx)
			// No deadline of its own: the context ends with the test.
			cs, err := cc.NewStream(ctx, bidi, chat, grpc.WaitForReady(true))
			if err != nil {
				l.wrong("stream %s: %v", id, err)
				return
			}
			all[i] = &dialogue{id: id, cs: cs}
			all[i].turn(l)
		})
	}
	opened := make(chan struct{})
	go func() { wait.Wait(); close(opened) }()
	select {
	case <-opened:
	case <-time.After(ample):
		t.Fatalf("not all of %d streams could be opened", n)
	}
	if err := l.bad(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A hundred long streams to a server that allows ten on a connection: with the
// option they all open, on ten connections, and the next one waits its turn.
func TestConnectionsScale(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		led := newLedger()
		f := start(t, kind, limits{streams: perConn}, newBackend(led))
		p := newProxy(t, f.addr)
		cc, _ := client(t, "passthrough:///"+p.addr(), callboard.WithMaxConnectionsPerSubchannel(crowd/perConn))
		l := newLoad(t, led)
		all := l.openAll(t, cc, crowd)
		if came, are := p.connections(); came != crowd/perConn || are != came {
			t.Errorf("%d connections came and %d are there, want %d", came, are, crowd/perConn)
		}
		l.noRoom(t, cc)
		for _, d := range all[:5] {
			d.finish(l)
		}
		all = append(all[5:], l.openAll(t, cc, 5)...)
		if came, _ := p.connections(); came != crowd/perConn {
			t.Errorf("%d connections came, want %d", came, crowd/perConn)
		}
		for _, d := range all {
			d.turn(l)
			d.finish(l)
		}
		l.end()
		led.once(t)
	})
}

// One of ten connections is lost: its streams are, the others go on, and there is
// room for as many again.
func TestScaledConnectionLost(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		led := newLedger()
		f := start(t, kind, limits{streams: perConn}, newBackend(led))
		p := newProxy(t, f.addr)
		cc, _ := client(t, "passthrough:///"+p.addr(), callboard.WithMaxConnectionsPerSubchannel(crowd/perConn))
		l := newLoad(t, led)
		all := l.openAll(t, cc, crowd)
		for range less(5, 2) {
			p.resetOne()
			all = l.survivors(t, all)
			if len(all) != crowd-perConn {
				t.Fatalf("%d streams have survived, want %d", len(all), crowd-perConn)
			}
			all = append(all, l.openAll(t, cc, perConn)...)
			if _, are := p.connections(); are != crowd/perConn {
				t.Errorf("%d connections, want %d", are, crowd/perConn)
			}
		}
		for _, d := range all {
			d.turn(l)
			d.finish(l)
		}
		l.end()
		led.once(t)
	})
}

// survivors are the streams that still answer; the others end as UNAVAILABLE.
func (l *load) survivors(t *testing.T, all []*dialogue) (left []*dialogue) {
	t.Helper()
	for _, d := range all {
		_ = d.cs.SendMsg(say("?"))
		err := d.cs.RecvMsg(new(text))
		switch {
		case err == nil:
			left = append(left, d)
		case status.Code(err) != codes.Unavailable:
			t.Errorf("stream %s ended with %v", d.id, err)
		}
	}
	return left
}

// noRoom: RPCs that find no room wait, each until its deadline, and say for what.
func (l *load) noRoom(t *testing.T, cc grpc.ClientConnInterface) {
	t.Helper()
	late := newLateness()
	for i := range 9 {
		late.add(200*time.Millisecond, func(ctx context.Context) error {
			var err error
			if i%2 == 0 {
				_, err = l.invoke(ctx, cc, echo, grpc.WaitForReady(i%3 == 0))
			} else {
				_, err = cc.NewStream(ctx, bidi, chat, grpc.WaitForReady(i%3 == 0))
			}
			if why, _ := callboard.WhyOf(err); why.Stage != callboard.WaitingForStream {
				l.wrong("an RPC that finds no room ends at stage %v: %v", why.Stage, err)
			}
			return err
		})
	}
	late.judge(t)
}

// Without the option what finds no room waits, keeps its deadline, and gets the
// first stream that ends.
func TestOneConnectionIsFull(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		led := newLedger()
		f := start(t, kind, limits{streams: perConn}, newBackend(led))
		p := newProxy(t, f.addr)
		cc, _ := client(t, "passthrough:///"+p.addr())
		l := newLoad(t, led)
		// Until the server's SETTINGS are here there is no limit.
		if id, err := l.call(cc, grpc.WaitForReady(true)); err != nil {
			t.Fatalf("call %s: %v", id, err)
		}
		all := l.openAll(t, cc, perConn)
		l.noRoom(t, cc)
		ended := make(chan error, crowd)
		for range cap(ended) {
			go func() { _, err := l.invoke(patient(t), cc, echo); ended <- err }()
		}
		all[0].finish(l)
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if came, _ := p.connections(); came != 1 {
			t.Errorf("%d connections, want 1", came)
		}
		for _, d := range all[1:] {
			d.turn(l)
			d.finish(l)
		}
		l.end()
		led.once(t)
	})
}
