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

// Nothing is dialled before there is an address, and after a loss before somebody
// asks.
func TestIdleUntilAsked(t *testing.T) {
	balancerTest(t, up(), nil, func(w *world) {
		w.connect()
		time.Sleep(time.Minute)
		w.offer("a")
		w.expectStates(connecting, ready)
		if _, ok, _ := pick(w.picker()); !ok {
			t.Error("nothing to pick")
		}
		w.took()
		_ = w.server().nc.Close()
		w.expect(idle)
		time.Sleep(time.Minute)
		if got := w.took(); len(got) != 0 {
			t.Errorf("dialled at %v", got)
		}
		if _, ok, err := pick(w.picker()); ok || err != nil { // it waits, and that is to ask
			t.Errorf("pick: %v %v", ok, err)
		}
		w.expect(ready)
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

// A connection that panics is a failure like another, with a kind of its own.
func TestPanickedConnection(t *testing.T) {
	balancerTest(t, up(), nil, func(w *world) {
		w.connect()
		w.offer("a")
		w.expect(ready)
		c := w.call()
		ref, _, _ := pick(w.picker())
		ref.Conn.Transport().Tell(&stream.Done{Slot: 99, ID: 99})
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
		first, _, _ := pick(w.picker())
		c := w.call()
		w.offer("x", "a")
		if got, _, _ := pick(w.picker()); got.Conn != first.Conn {
			t.Error("a connection was given up whose address is still offered")
		}
		w.dialled()
		w.offer("b")
		w.expect(ready)
		if got := w.dialled(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("dialled %v", got)
		}
		second, _, _ := pick(w.picker())
		if second.Conn == first.Conn {
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
		case <-first.Conn.Probe().Done():
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
		if _, _, err := pick(w.picker()); !errors.Is(err, why) {
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
		if w.table.Find("channel/balancer/subchannel-1.3") == nil {
			t.Error("three subchannels have panicked, but there is no fourth")
		}
		for _, s := range w.servers {
			_ = s.nc.Close()
		}
	})
}
