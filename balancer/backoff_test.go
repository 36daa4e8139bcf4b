package balancer

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/conn"
)

// The pauses between attempts are those of gRPC's connection backoff: 1 s, then
// 1.6 times as much each time, 120 s at most.
func TestBackoffSequence(t *testing.T) {
	balancerTest(t, map[string]string{}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		time.Sleep(time.Hour)
		at := w.took()
		if len(at) < 20 {
			t.Fatalf("%d attempts in an hour", len(at))
		}
		want := 1.0
		for i := 1; i < 20; i++ {
			if got := (at[i] - at[i-1]).Seconds(); math.Abs(got-want) > 0.01 {
				t.Errorf("pause %d: %.3f s, want %.3f s", i, got, want)
			}
			if next := w.failures[i-1].Next.Seconds(); math.Abs(next-want) > 0.01 {
				t.Errorf("failure %d announces %.3f s, want %.3f s", i, next, want)
			}
			if got := w.failures[i-1].Count; got != i {
				t.Errorf("failure %d counts %d", i, got)
			}
			want = min(want*1.6, 120)
		}
		w.expectStates(append([]connectivity.State{connectivity.Connecting}, slices.Repeat([]connectivity.State{connectivity.TransientFailure}, len(w.states)-1)...)...)
	})
}

// Jitter varies the pauses by a fifth in either direction.
func TestBackoffJitter(t *testing.T) {
	for _, c := range []struct{ jitter, factor float64 }{{0, 0.8}, {0.9999999, 1.2}} {
		balancerTest(t, map[string]string{}, func(cfg *Config) {
			cfg.Jitter = func() float64 { return c.jitter }
		}, func(w *world) {
			w.connect()
			w.offer("a")
			time.Sleep(5 * time.Second)
			at := w.took()
			if got, want := (at[2] - at[1]).Seconds(), 1.6*c.factor; math.Abs(got-want) > 0.01 {
				t.Errorf("second pause %.3f s, want %.3f s", got, want)
			}
		})
	}
}

// The time an attempt took counts towards its pause.
func TestBackoffCountsFromTheAttempt(t *testing.T) {
	balancerTest(t, map[string]string{"a": "hangs"}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		time.Sleep(70 * time.Second)
		at := w.took()
		want := []time.Duration{0, 20 * time.Second, 40 * time.Second, 60 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		if f := w.lastFailure(); f.Kind != conn.DialFailed {
			t.Errorf("kind %v", f.Kind)
		}
	})
}

// A server that accepts and then says nothing has MinConnectTimeout.
func TestSilentServer(t *testing.T) {
	balancerTest(t, map[string]string{"a": "silent"}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		time.Sleep(19 * time.Second)
		w.expect(connectivity.Connecting)
		time.Sleep(2 * time.Second)
		w.expectStates(connectivity.Connecting, connectivity.TransientFailure)
		f := w.lastFailure()
		if f.Kind != conn.HandshakeTimeout || f.Epoch != 1 || !strings.HasSuffix(f.Path, "/subchannel-1/conn-1") {
			t.Errorf("failure %+v", f)
		}
	})
}

// A subchannel with several addresses tries them in order, within one attempt,
// and again from the first in the next.
func TestAddressesInOrder(t *testing.T) {
	balancerTest(t, map[string]string{}, withPolicy(&oneForAll{}), func(w *world) {
		w.offer("a", "b", "c")
		if got := w.dialled(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("dialled %v", got)
		}
		if n := w.asked(); n != 1 {
			t.Errorf("the supervisor was asked %d times about one attempt", n)
		}
		w.set("b", "up")
		time.Sleep(1100 * time.Millisecond)
		if got := w.dialled(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("dialled %v", got)
		}
		w.expect(ready)
	})
}

// TRANSIENT_FAILURE stays until READY: attempts in between are not published.
func TestTransientFailureIsSticky(t *testing.T) {
	balancerTest(t, map[string]string{}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		w.expect(connectivity.TransientFailure)
		w.set("a", "hangs")
		time.Sleep(2 * time.Second) // an attempt is under way
		w.expect(connectivity.TransientFailure)
		if _, ok, err := pick(w.picker()); ok || !errors.Is(err, errRefused) {
			t.Errorf("pick: %v %v", ok, err)
		}
		w.set("a", "up")
		time.Sleep(time.Minute)
		w.expect(connectivity.Ready)
	})
}

// ResetBackoff starts the next attempt at once, and the sequence anew.
func TestResetBackoff(t *testing.T) {
	balancerTest(t, map[string]string{}, nil, func(w *world) {
		w.connect()
		w.offer("a")
		time.Sleep(30 * time.Second)
		w.took()
		before := time.Since(w.began)
		w.bal.Tell(&ResetBackoff{})
		at := w.took()
		if len(at) != 1 || at[0] != before {
			t.Fatalf("attempts %v, want one at %v", at, before)
		}
		time.Sleep(1100 * time.Millisecond)
		if at := w.took(); len(at) != 1 || at[0] != before+time.Second {
			t.Errorf("attempts %v, want one at %v", at, before+time.Second)
		}
	})
}
