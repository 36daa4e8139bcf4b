package faults_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// Keepalive finds out that nothing comes any more and closes the connection: what
// is on it ends as UNAVAILABLE, and the next call is on another one. Ten seconds
// are the least that a client may ask for; all cases take them together.
func TestKeepaliveEndsSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds that a client's keepalive waits at least")
	}
	t.Parallel()
	var all []*silenced
	for name, w := range silences {
		for _, what := range []string{"nothing", "a call", "a stream"} {
			s := &silenced{name: name + " under " + what, idle: what == "nothing", ended: make(chan error, 1)}
			s.through = newThrough(t, "callboard", callboard.WithKeepaliveParams(keepalive.ClientParameters{
				Time: 10 * time.Second, Timeout: 500 * time.Millisecond, PermitWithoutStream: s.idle,
			}))
			s.l = newLoad(t, s.led)
			s.up(t)
			switch what {
			case "a call":
				go func() { _, err := s.l.invoke(patient(t), s.cc, stuck, grpc.WaitForReady(true)); s.ended <- err }()
			case "a stream":
				go func() { s.ended <- s.idleStream(patient(t)) }()
			}
			if !s.idle {
				comesTo(t, "it is at a handler", func() bool { return s.running.Load() == 1 })
			}
			s.p.turn(w)
			all = append(all, s)
		}
	}
	for _, s := range all {
		t.Run(s.name, s.judge)
	}
}

// silenced is a channel to which nothing comes any more, and what is on it.
type silenced struct {
	*through
	name  string
	idle  bool
	l     *load
	ended chan error
}

func (s *silenced) judge(t *testing.T) {
	if s.cc.GetState() == connectivity.Ready && !s.cc.WaitForStateChange(patient(t), connectivity.Ready) {
		t.Fatal("the connection is still in use")
	}
	if !s.idle {
		err := <-s.ended
		if why, _ := callboard.WhyOf(err); status.Code(err) != codes.Unavailable || why.Stage != callboard.Lost {
			t.Errorf("it ended at stage %v: %v", why.Stage, err)
		}
	}
	s.p.turn(fair) // for those that come anew
	if id, err := s.l.call(s.cc); err != nil {
		t.Errorf("call %s after it: %v", id, err)
	}
	s.l.end()
	s.led.once(t)
}

// idleStream is a stream on which nobody says anything, until its end.
func (x *through) idleStream(ctx context.Context) error {
	ctx, _ = x.led.id(ctx)
	cs, err := x.cc.NewStream(ctx, bidi, chat, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	return cs.RecvMsg(new(text))
}

// A server's keepalive finds out that its client has vanished: the handlers'
// contexts end, and nothing is left of the connection.
func TestServerKeepaliveEndsSilence(t *testing.T) {
	for name, w := range silences {
		t.Run(name, func(t *testing.T) {
			led := newLedger()
			f := start(t, "callboard", limits{
				keepalive: keepalive.ServerParameters{Time: time.Second, Timeout: 300 * time.Millisecond},
			}, newBackend(led))
			p := newProxy(t, f.addr)
			cc, _ := client(t, "passthrough:///"+p.addr())
			l := newLoad(t, led)
			const calls = 5
			ended := make(chan error, calls)
			ctx, cancel := context.WithCancel(patient(t))
			for range calls {
				go func() { _, err := l.invoke(ctx, cc, stuck); ended <- err }()
			}
			comesTo(t, "all are at a handler", func() bool { return f.running.Load() == calls })
			p.turn(w)
			comesTo(t, "the handlers' contexts end", func() bool { return f.running.Load() == 0 })
			comesTo(t, "the connection is gone", func() bool { return actorsOf(f.sys, "conn") == 0 })
			cancel()
			for range calls {
				if err := <-ended; status.Code(err) != codes.Canceled && status.Code(err) != codes.Unavailable {
					t.Error(err)
				}
			}
			l.end()
			led.once(t)
		})
	}
}
