package balancer

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/conn"
)

func quarantine(d time.Duration) conn.Directive {
	return conn.Directive{Decision: conn.DecideQuarantine, After: d}
}

// A quarantine lasts, whoever asks for a connection, and whatever subchannel gets
// the address meanwhile.
func TestQuarantineLasts(t *testing.T) {
	asks := map[string]func(w *world){
		"nobody":        func(*world) {},
		"connect":       func(w *world) { w.connect() },
		"reset backoff": func(w *world) { w.bal.Tell(&ResetBackoff{}) },
		"an RPC":        func(w *world) { _, _, _ = pick(w.picker()) },
		"another list":  func(w *world) { w.offer("x"); w.offer("a") },
		"another policy": func(w *world) {
			w.use(`[{"round_robin":{}}]`)
			w.offer("a")
		},
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			balancerTest(t, map[string]string{}, nil, func(w *world) {
				w.answer(quarantine(time.Minute))
				w.offer("a")
				w.expect(failure)
				w.set("a", "up")
				for range 50 {
					time.Sleep(time.Second)
					ask(w)
				}
				for _, a := range w.dialled()[1:] {
					if a == "a" {
						t.Error("the address is tried during its quarantine")
					}
				}
				time.Sleep(15 * time.Second)
				w.expect(ready)
			})
		})
	}
}

// What a supervisor has stopped is not tried without a pause, however often RPCs
// ask; the application gets its attempt at once.
func TestStoppedAttemptsArePaced(t *testing.T) {
	stop := conn.Directive{Decision: conn.DecideStop}
	balancerTest(t, map[string]string{}, func(cfg *Config) {
		cfg.Supervise = func(conn.Failure) conn.Directive { return stop }
	}, func(w *world) {
		w.offer("a")
		w.expect(idle)
		for range 1000 {
			_, _, _ = pick(w.picker())
			time.Sleep(10 * time.Millisecond)
		}
		n := len(w.took())
		if n < 2 || n > 6 {
			t.Errorf("%d attempts in ten seconds", n)
		}
		w.connect()
		if n := len(w.took()); n != 1 {
			t.Errorf("%d attempts when the application asks", n)
		}
	})
}

// However many RPCs want an idle connection, the policy hears of it once.
func TestWantedIsToldOnce(t *testing.T) {
	balancerTest(t, up(), nil, func(w *world) {
		w.offer("a")
		w.expect(ready)
		_ = w.server().nc.Close()
		w.expect(idle)
		p, before := w.picker(), w.bal.Probe().Mailbox().Counters().Posted
		for range 1000 {
			_, _, _ = pick(p)
		}
		w.expect(ready)
		if n := w.bal.Probe().Mailbox().Counters().Posted - before; n > 20 {
			t.Errorf("%d messages for a thousand RPCs", n)
		}
	})
}

// What the supervisor says is done.
func TestDirectivesAfterALoss(t *testing.T) {
	tests := []struct {
		name   string
		d      conn.Directive
		want   connectivity.State
		redial time.Duration // after the loss; -1: only when asked
	}{
		{"default", conn.Directive{}, idle, -1},
		{"reconnect at once", conn.Directive{Decision: conn.DecideReconnect}, ready, 0},
		{"reconnect later", conn.Directive{Decision: conn.DecideReconnect, After: 7 * time.Second}, failure, 7 * time.Second},
		{"quarantine", conn.Directive{Decision: conn.DecideQuarantine, After: 30 * time.Second}, failure, 30 * time.Second},
		{"stop", conn.Directive{Decision: conn.DecideStop}, idle, -1},
		{"escalate", conn.Directive{Decision: conn.DecideEscalate}, failure, -1},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			balancerTest(t, up(), nil, func(w *world) {
				w.connect()
				w.offer("a")
				w.expect(ready)
				w.took()
				w.answer(c.d)
				lost := time.Since(w.began)
				_ = w.server().nc.Close()
				w.expect(c.want)
				time.Sleep(10 * time.Minute)
				at := w.took()
				if c.redial < 0 {
					if len(at) != 0 {
						t.Errorf("dialled at %v", at)
					}
					return
				}
				if len(at) != 1 || at[0] != lost+c.redial {
					t.Errorf("dialled at %v, want %v", at, lost+c.redial)
				}
				w.expect(ready)
			})
		})
	}
}

func TestDirectivesAfterAFailedAttempt(t *testing.T) {
	tests := []struct {
		name   string
		d      conn.Directive
		want   connectivity.State
		redial time.Duration
	}{
		{"default", conn.Directive{}, failure, time.Second},
		{"reconnect", conn.Directive{Decision: conn.DecideReconnect, After: 3 * time.Second}, failure, 3 * time.Second},
		{"quarantine", conn.Directive{Decision: conn.DecideQuarantine, After: time.Minute}, failure, time.Minute},
		{"stop", conn.Directive{Decision: conn.DecideStop}, idle, -1},
		{"escalate", conn.Directive{Decision: conn.DecideEscalate}, failure, -1},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			balancerTest(t, map[string]string{}, nil, func(w *world) {
				w.answer(c.d)
				w.connect()
				w.offer("a")
				w.expect(c.want)
				f := w.lastFailure()
				if f.Kind != conn.DialFailed || !errors.Is(f.Cause, errRefused) || f.Count != 1 || f.Next != time.Second {
					t.Errorf("failure %+v", f)
				}
				w.set("a", "up")
				time.Sleep(10 * time.Minute)
				at := w.took()
				if c.redial < 0 {
					if len(at) != 1 {
						t.Errorf("dialled at %v", seconds(at))
					}
					return
				}
				if len(at) != 2 || at[1] != c.redial {
					t.Errorf("dialled at %v, want 0 and %v", seconds(at), c.redial)
				}
				w.expect(ready)
			})
		})
	}
}

// A row of failures that the supervisor ends leaves IDLE behind, as one failure
// does: the next RPC has to find out that it must ask.
func TestStopAfterAFailure(t *testing.T) {
	balancerTest(t, map[string]string{}, nil, func(w *world) {
		w.answer(conn.Directive{}, conn.Directive{Decision: conn.DecideStop})
		w.connect()
		w.offer("a")
		w.expect(failure)
		time.Sleep(time.Minute)
		w.expect(idle)
	})
}

// After Stop, whoever asks gets a new attempt.
func TestConnectAfterStop(t *testing.T) {
	balancerTest(t, map[string]string{}, nil, func(w *world) {
		w.answer(conn.Directive{Decision: conn.DecideStop})
		w.connect()
		w.offer("a")
		w.expect(idle)
		w.set("a", "up")
		w.connect()
		w.expect(ready)
	})
}

// An escalated failure lasts until the resolver has something new, or the
// backoff is reset.
func TestEscalationEnds(t *testing.T) {
	ends := map[string]func(w *world){
		"new addresses": func(w *world) { w.offer("b") },
		"reset backoff": func(w *world) { w.bal.Tell(&ResetBackoff{}) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			balancerTest(t, map[string]string{}, nil, func(w *world) {
				w.answer(conn.Directive{Decision: conn.DecideEscalate})
				w.connect()
				w.offer("a")
				w.expect(failure)
				w.set("a", "up")
				w.set("b", "up")
				w.offer("a") // nothing new
				time.Sleep(time.Hour)
				w.expect(failure)
				end(w)
				w.expect(ready)
			})
		})
	}
}

// A supervisor that panics leaves the decision to gRPC's backoff.
func TestPanickingSupervisor(t *testing.T) {
	balancerTest(t, map[string]string{}, func(cfg *Config) {
		cfg.Supervise = func(conn.Failure) conn.Directive { panic("the supervisor panics") }
	}, func(w *world) {
		w.connect()
		w.offer("a")
		time.Sleep(1100 * time.Millisecond)
		if at := w.took(); len(at) != 2 || at[1] != time.Second {
			t.Errorf("attempts at %v", seconds(at))
		}
	})
}
