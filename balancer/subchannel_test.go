package balancer

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/resolver"
	"github.com/callboard-rpc/callboard/stream"
)

var (
	idle       = connectivity.Idle
	connecting = connectivity.Connecting
	ready      = connectivity.Ready
	failure    = connectivity.TransientFailure
)

func up() map[string]string { return map[string]string{"a": "up"} }

// Nothing is dialled before somebody asks.
func TestIdleUntilConnect(t *testing.T) {
	balancerTest(t, up(), nil, func(w *world) {
		w.offer("a")
		time.Sleep(time.Minute)
		if got := w.took(); len(got) != 0 {
			t.Errorf("dialled at %v", got)
		}
		w.connect()
		w.connect()
		w.expectStates(connecting, ready)
		if _, ok, _ := w.picker().Pick(); !ok {
			t.Error("nothing to pick")
		}
	})
}

// A lost connection leaves IDLE behind, and asks for a new resolution; the next
// Connect makes the next epoch.
func TestLostConnection(t *testing.T) {
	losses := map[string]func(w *world){
		"socket closed": func(w *world) { _ = w.server().nc.Close() },
		"GOAWAY":        func(w *world) { w.server().goAway(0, http2.ErrCodeNo, "bye") },
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			balancerTest(t, up(), nil, func(w *world) {
				w.connect()
				w.offer("a")
				w.expect(ready)
				for epoch := 1; epoch <= 3; epoch++ {
					if w.table.Find("channel/balancer/subchannel-1/conn-"+string(rune('0'+epoch))) == nil {
						t.Errorf("no conn-%d", epoch)
					}
					lose(w)
					w.expect(idle)
					f := w.lastFailure()
					want := conn.PeerGone
					if name == "GOAWAY" {
						want = conn.PeerGoAway
						if f.GoAway == nil || string(f.GoAway.Debug) != "bye" {
							t.Errorf("GOAWAY %v", f.GoAway)
						}
					}
					if f.Kind != want || f.Epoch != epoch || f.Count != 1 || f.Cause == nil ||
						!strings.HasSuffix(f.Path, "balancer/subchannel-1/conn-"+string(rune('0'+epoch))) {
						t.Errorf("failure %+v", f)
					}
					if w.resolves != epoch {
						t.Errorf("%d resolutions asked for, want %d", w.resolves, epoch)
					}
					w.connect()
					w.expect(ready)
				}
				time.Sleep(time.Second)
				if n := w.table.Len(); n != 6 {
					t.Errorf("%d actors: connections of old epochs live on", n)
				}
			})
		})
	}
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

// Each attempt that fails asks for a new resolution: the addresses may be old.
func TestFailedAttemptsResolveAgain(t *testing.T) {
	balancerTest(t, map[string]string{}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		time.Sleep(5 * time.Second)
		if n := len(w.took()); w.state() != failure || w.resolves != n || n < 2 {
			t.Errorf("%v after %d attempts, %d resolutions asked for", w.state(), n, w.resolves)
		}
	})
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

// A connection that panics is a failure like another, with a kind of its own.
func TestPanickedConnection(t *testing.T) {
	balancerTest(t, up(), nil, func(w *world) {
		w.connect()
		w.offer("a")
		w.expect(ready)
		c := w.call()
		ref, _, _ := w.picker().Pick()
		ref.Transport().Tell(&stream.Done{Slot: 99, ID: 99})
		w.expect(idle)
		if f := w.lastFailure(); f.Kind != conn.Panicked || f.Epoch != 1 {
			t.Errorf("failure %+v", f)
		}
		if err := c.Wait(nil); err != nil || c.Status().Code() != codes.Unavailable {
			t.Errorf("its call: %v %v", err, c.Status())
		}
		c.Release()
		w.connect()
		w.expect(ready)
	})
}

// Addresses that go away take their connection with them, gently.
func TestAddressesChange(t *testing.T) {
	balancerTest(t, map[string]string{"a": "up", "b": "up"}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		w.expect(ready)
		first, _, _ := w.picker().Pick()
		c := w.call()
		w.offer("x", "a")
		if got, _, _ := w.picker().Pick(); got != first {
			t.Error("a connection was given up whose address is still offered")
		}
		w.dialled()
		w.offer("b")
		w.expect(ready)
		if got := w.dialled(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("dialled %v", got)
		}
		second, _, _ := w.picker().Pick()
		if second == first {
			t.Error("the connection to an address no longer offered is kept")
		}
		synctest.Wait()
		if c.Status() != nil {
			t.Errorf("the call on the old connection: %v", c.Status())
		}
		c.Cancel(codes.Canceled, "")
		c.Release()
		time.Sleep(2 * time.Second)
		select {
		case <-first.Probe().Done():
		default:
			t.Error("the drained connection lives on")
		}
	})
}

// Resolver failures matter while there is nothing to connect to.
func TestResolverFailures(t *testing.T) {
	balancerTest(t, up(), nil, func(w *world) {
		why := errors.New("no such host")
		w.connect()
		w.bal.Tell(&resolver.Failed{Err: why})
		w.expect(failure)
		if _, _, err := w.picker().Pick(); !errors.Is(err, why) {
			t.Errorf("pick: %v", err)
		}
		w.offer("a")
		w.expect(ready)
		w.bal.Tell(&resolver.Failed{Err: why})
		w.expect(ready)
		_ = w.server().nc.Close()
		w.expect(idle)
		w.bal.Tell(&resolver.Failed{Err: why})
		w.expect(idle) // an RPC must still make it connect
		w.connect()
		w.expect(ready)
	})
}

// Stop closes what there is in every phase, and calls hear why.
func TestStopInEveryPhase(t *testing.T) {
	for _, how := range []string{"up", "refused", "hangs", "silent", "unresolved", "idle"} {
		t.Run(how, func(t *testing.T) {
			balancerTest(t, map[string]string{"a": how}, nil, func(w *world) {
				if how != "unresolved" {
					w.offer("a")
				}
				if how != "idle" {
					w.connect()
				}
				synctest.Wait()
				var c *stream.Call
				if how == "up" {
					c = w.call()
					synctest.Wait()
				}
				w.bal.Tell(&Stop{Reason: "closing time"})
				w.offer("a") // too late
				if c != nil {
					if err := c.Wait(nil); err != nil {
						t.Fatal(err)
					}
					if st := c.Status(); st.Code() != codes.Canceled || !strings.Contains(st.Message(), "closing time") {
						t.Errorf("status %v", st)
					}
					c.Release()
				}
				<-w.bal.Probe().Done()
				if n := w.table.Len(); n != 1 {
					t.Errorf("%d actors are left", n)
				}
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

// A subchannel that panics is replaced, with backoff.
func TestPanickedSubchannelIsReplaced(t *testing.T) {
	var panics atomic.Int32
	panics.Store(3)
	balancerTest(t, up(), func(cfg *Config) {
		config := cfg.Conn
		cfg.Conn = func(auth credentials.AuthInfo) conn.Config {
			if panics.Add(-1) >= 0 {
				panic("no configuration")
			}
			return config(auth)
		}
	}, func(w *world) {
		w.connect()
		w.offer("a")
		w.expect(failure)
		time.Sleep(time.Minute)
		w.expect(ready)
		if at := w.took(); len(at) != 4 || at[1] < 700*time.Millisecond {
			t.Errorf("attempts at %v, want four with backoff", seconds(at))
		}
		if w.table.Find("channel/balancer/subchannel-4") == nil {
			t.Error("three subchannels have panicked, but there is no fourth")
		}
		for _, s := range w.servers {
			_ = s.nc.Close()
		}
	})
}
