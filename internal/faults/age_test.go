package faults_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// aged is a server that sends its clients away all the time, and what it has
// seen of their connections.
func aged(t *testing.T, kind string, led *ledger, age, grace time.Duration) (*life, *countingListener) {
	t.Helper()
	lis := counting(listen(t, "127.0.0.1:0"))
	f := serve(t, lis, kind, limits{
		keepalive: keepalive.ServerParameters{MaxConnectionAge: age, MaxConnectionAgeGrace: grace},
	}, newBackend(led))
	t.Cleanup(func() { f.kill(t) })
	return f, lis
}

// A server that lets connections grow no older than a moment costs nobody a call,
// also none that fails fast. Streams outlive any number of connections that came
// behind theirs, so the new one is there while the old one drains.
func TestMaxConnectionAgeUnderLoad(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		led := newLedger()
		f, lis := aged(t, kind, led, 40*time.Millisecond, ample)
		cc, sys := client(t, "passthrough:///"+f.addr)
		l := newLoad(t, led)
		for _, wait := range []bool{true, false} {
			l.workers(3, func() error {
				id, err := l.call(cc, grpc.WaitForReady(wait))
				if err != nil {
					l.wrong("call %s: %v", id, err)
				}
				return err
			})
		}
		l.workers(2, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), ample)
			defer cancel()
			_, err := l.conversation(ctx, cc, 20)
			if err != nil {
				l.wrong("a stream ended with %v", err)
			}
			return err
		})
		var open []*dialogue
		for range less(20, 5) {
			came, _ := lis.seen()
			comesTo(t, "the next connection comes", func() bool { now, _ := lis.seen(); return now > came || l.bad() != nil })
			open = append(open, l.begin(t, cc))
			for _, d := range open {
				d.turn(l)
			}
			l.progress(10)
		}
		for _, d := range open {
			d.turn(l)
			d.finish(l)
		}
		l.end()
		led.once(t)
		came, most := lis.seen()
		if most < len(open)/2 {
			t.Errorf("%d connections at a time are the most: where were %d streams?", most, len(open))
		}
		t.Logf("%d calls on %d connections, %d at a time", l.ok.Load(), came, most)
		comesTo(t, "the old connections are gone", func() bool { return actorsOf(sys, "conn") <= 1 })
	})
}

// What has not ended by the end of the grace ends with its connection, once and as
// UNAVAILABLE; what comes meanwhile is not concerned.
func TestMaxConnectionAgeGraceEnds(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		led := newLedger()
		f, _ := aged(t, kind, led, 40*time.Millisecond, 80*time.Millisecond)
		cc, _ := client(t, "passthrough:///"+f.addr)
		l := newLoad(t, led)
		l.workers(2, func() error {
			id, err := l.call(cc)
			if err != nil {
				l.wrong("call %s: %v", id, err)
			}
			return err
		})
		ended := make(chan error, 10)
		for range cap(ended) {
			go func() { _, err := l.invoke(patient(t), cc, stuck, grpc.WaitForReady(true)); ended <- err }()
		}
		for range cap(ended) {
			err := <-ended
			if why, _ := callboard.WhyOf(err); status.Code(err) != codes.Unavailable || why.Stage != callboard.Lost {
				t.Errorf("it ended at stage %v: %v", why.Stage, err)
			}
		}
		l.progress(20)
		l.end()
		led.once(t)
	})
}
