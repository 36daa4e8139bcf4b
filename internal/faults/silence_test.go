package faults_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// silences are the ways in which nothing comes any more.
var silences = map[string]weather{"blackhole": still, "half-open": black}

// Nothing comes any more: deadlines are kept, cancellation works, and when the
// network is back so is the service.
func TestSilence(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		for name, w := range silences {
			t.Run(name, func(t *testing.T) {
				x := newThrough(t, kind)
				l := newLoad(t, x.led)
				x.up(t)
				x.p.turn(w)
				late := newLateness()
				for i := range 9 {
					late.add(300*time.Millisecond, func(ctx context.Context) error {
						switch i % 3 {
						case 0:
							_, err := l.invoke(ctx, x.cc, echo)
							return err
						case 1:
							_, err := l.conversation(ctx, x.cc, 1, grpc.WaitForReady(true))
							return err
						default: // until the sockets are full
							return flood(ctx, x.cc)
						}
					})
				}
				late.judge(t)
				ctx, cancel := context.WithCancel(patient(t))
				ended := make(chan error, 1)
				go func() { _, err := l.invoke(ctx, x.cc, echo); ended <- err }()
				cancel()
				if err := <-ended; status.Code(err) != codes.Canceled {
					t.Errorf("a call that was cancelled: %v", err)
				}
				l.end()
				x.heal(t)
				x.up(t)
				x.led.once(t)
			})
		}
	})
}

// Silence while handlers are at work: both sides keep the deadline.
func TestSilenceUnderCalls(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		for name, w := range silences {
			t.Run(name, func(t *testing.T) {
				x := newThrough(t, kind)
				l := newLoad(t, x.led)
				x.up(t)
				const calls = 5
				late := newLateness()
				for range calls {
					late.add(time.Second, func(ctx context.Context) error {
						_, err := l.invoke(ctx, x.cc, stuck)
						return err
					})
				}
				comesTo(t, "all are at a handler", func() bool { return x.running.Load() == calls })
				x.p.turn(w)
				late.judge(t)
				comesTo(t, "the handlers' contexts end", func() bool { return x.running.Load() == 0 })
				l.end()
				x.heal(t)
				x.up(t)
				x.led.once(t)
			})
		}
	})
}

// flood sends until it cannot.
func flood(ctx context.Context, cc grpc.ClientConnInterface) error {
	cs, err := cc.NewStream(ctx, bidi, chat)
	if err != nil {
		return err
	}
	for block := strings.Repeat("x", 32<<10); err == nil; {
		err = cs.SendMsg(say(block))
	}
	return cs.RecvMsg(new(text))
}

// lateness is how much later than their deadlines calls end.
type lateness struct{ ends []chan late }

type late struct {
	by  time.Duration
	err error
}

func newLateness() *lateness { return &lateness{} }

func (l *lateness) add(d time.Duration, f func(context.Context) error) {
	end := make(chan late, 1)
	l.ends = append(l.ends, end)
	ctx, cancel := context.WithTimeout(context.Background(), d)
	due, _ := ctx.Deadline()
	go func() {
		defer cancel()
		err := f(ctx)
		end <- late{time.Since(due), err}
	}()
}

// judge waits for all. None may end early, and most on time: a busy machine
// makes some late, but not all.
func (l *lateness) judge(t *testing.T) {
	t.Helper()
	const onTime = 500 * time.Millisecond // that it is 50 on a quiet machine is for package safety to see
	punctual := 0
	for i, end := range l.ends {
		got := <-end
		if status.Code(got.err) != codes.DeadlineExceeded {
			t.Errorf("call %d: %v", i, got.err)
		}
		if got.by < 0 || got.by > bearable {
			t.Errorf("call %d ended %v after its deadline", i, got.by)
		}
		if got.by <= onTime {
			punctual++
		}
	}
	if punctual == 0 {
		t.Errorf("none of %d calls ended within %v of its deadline", len(l.ends), onTime)
	}
}
