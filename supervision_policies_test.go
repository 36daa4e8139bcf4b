package callboard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/codec/frame"
)

// asked is one failure put to a policy, at a virtual time, and the answer that
// is expected.
type asked struct {
	at   time.Duration
	f    callboard.Failure
	want callboard.Directive
}

var policyEpoch = time.Unix(1_000_000, 0)

func ask(t *testing.T, policy func(callboard.Failure) callboard.Directive, script []asked) {
	t.Helper()
	for i, a := range script {
		a.f.At = policyEpoch.Add(a.at)
		if got := policy(a.f); got != a.want {
			t.Errorf("%d: %+v at %v: %v, want %v", i, a.f, a.at, got, a.want)
		}
	}
}

func from(path string) callboard.Failure {
	return callboard.Failure{Path: path, Kind: callboard.PeerGone}
}

func youth(d time.Duration) callboard.Failure {
	return callboard.Failure{Path: "sub/conn-1", Kind: callboard.PeerGone, Lived: d}
}

func TestRestartBudget(t *testing.T) {
	var (
		none = callboard.Default()
		stop = callboard.Stop()
	)
	tests := []struct {
		name   string
		n      int
		window time.Duration
		script []asked
	}{
		{"the budget is spent", 2, time.Minute, []asked{
			{0, from("a"), none}, {time.Second, from("a"), none}, {2 * time.Second, from("a"), stop}, {3 * time.Second, from("a"), stop},
		}},
		{"what leaves the window comes back", 2, time.Minute, []asked{
			{0, from("a"), none},
			{30 * time.Second, from("a"), none},
			{60 * time.Second, from("a"), stop},
			{89 * time.Second, from("a"), stop},
			{121 * time.Second, from("a"), none},
		}},
		{"slow failures are within it for ever", 1, time.Minute, []asked{
			{0, from("a"), none}, {61 * time.Second, from("a"), none}, {122 * time.Second, from("a"), none},
		}},
		{"each supervisor has its own", 1, time.Minute, []asked{
			{0, from("a/conn-1"), none}, {0, from("b/conn-1"), none}, {0, from("a/conn-2"), stop}, {0, from("b"), stop}, {0, from("c"), none},
		}},
		{"none", 0, time.Minute, []asked{{0, from("a"), stop}, {time.Hour, from("a"), stop}}},
		{"less than none", -3, time.Minute, []asked{{0, from("a"), stop}}},
		{"all at once", 3, 0, []asked{{0, from("a"), none}, {0, from("a"), none}, {0, from("a"), none}, {0, from("a"), stop}, {1, from("a"), none}}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { ask(t, callboard.RestartBudget(c.n, c.window, stop), c.script) })
	}
}

func TestFlapWindow(t *testing.T) {
	var (
		none  = callboard.Default()
		keep  = callboard.Quarantine(time.Minute)
		young = youth(time.Second)
		old   = youth(5 * time.Second)
		never = callboard.Failure{Path: "sub", Kind: callboard.DialFailed}
	)
	tests := []struct {
		name   string
		n      int
		script []asked
	}{
		{"three in a row", 3, []asked{{0, young, none}, {1, young, none}, {2, young, keep}}},
		{"counts anew behind it", 2, []asked{{0, young, none}, {1, young, keep}, {2, young, none}, {3, young, keep}}},
		{"a long life ends the row", 2, []asked{{0, young, none}, {1, old, none}, {2, young, none}, {3, young, keep}}},
		{"attempts that fail do not", 2, []asked{{0, young, none}, {1, never, none}, {2, young, keep}}},
		{"attempts that fail do not count", 1, []asked{{0, never, none}, {1, never, none}}},
		{"outside the window", 2, []asked{{0, young, none}, {11 * time.Second, young, none}, {12 * time.Second, young, keep}}},
		{"less than one is one", 0, []asked{{0, young, keep}}},
		{"another connection of the same subchannel", 2, []asked{{0, young, none}, {1, callboard.Failure{Path: "sub/conn-2", Lived: 1}, keep}}},
		{"another subchannel", 2, []asked{{0, young, none}, {1, callboard.Failure{Path: "other/conn-2", Lived: 1}, none}}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			ask(t, callboard.FlapWindow(c.n, 5*time.Second, 10*time.Second, keep), c.script)
		})
	}
}

func TestComposition(t *testing.T) {
	none, stop, later := callboard.Default(), callboard.Stop(), callboard.Reconnect(time.Second)
	refused := callboard.Failure{Kind: callboard.DialFailed, Cause: fmt.Errorf("dial: %w", syscall.ECONNREFUSED)}
	goAway := callboard.Failure{Kind: callboard.PeerGoAway}
	tests := []struct {
		name   string
		policy func(callboard.Failure) callboard.Directive
		f      callboard.Failure
		want   callboard.Directive
	}{
		{"always", callboard.Always(stop), goAway, stop},
		{"kind matches", callboard.OnKind(callboard.PeerGoAway, callboard.Always(later)), goAway, later},
		{"kind does not", callboard.OnKind(callboard.PeerGoAway, callboard.Always(later)), refused, none},
		{"cause matches", callboard.OnCause(syscall.ECONNREFUSED, callboard.Always(stop)), refused, stop},
		{"cause does not", callboard.OnCause(io.EOF, callboard.Always(stop)), refused, none},
		{"no cause", callboard.OnCause(io.EOF, callboard.Always(stop)), goAway, none},
		{"first of nothing", callboard.First(), goAway, none},
		{"first answer", callboard.First(callboard.Always(none), callboard.Always(later), callboard.Always(stop)), goAway, later},
		{"nested", callboard.First(
			callboard.OnKind(callboard.DialFailed, callboard.First(
				callboard.OnCause(io.EOF, callboard.Always(stop)),
				callboard.OnCause(syscall.ECONNREFUSED, callboard.Always(later)),
			)),
			callboard.Always(stop),
		), refused, later},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			if got := c.policy(c.f); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// Whoever stands behind the first answer is not asked.
func TestFirstStopsAtTheAnswer(t *testing.T) {
	n := 0
	count := func(callboard.Failure) callboard.Directive { n++; return callboard.Default() }
	callboard.First(count, callboard.Always(callboard.Stop()), count)(callboard.Failure{})
	if n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestLogTo(t *testing.T) {
	var out bytes.Buffer
	f := callboard.Failure{
		Path: "sub/conn-2", Kind: callboard.PeerGoAway, Epoch: 2, Count: 3, Window: time.Second, Lived: time.Minute,
		Cause: io.EOF, GoAway: &frame.GoAway{Code: frame.EnhanceYourCalm, Debug: []byte("calm\n")}, Clause: "RFC 9113 6.8",
	}
	if got := callboard.LogTo(slog.New(slog.NewJSONHandler(&out, nil)))(f); got != callboard.Default() {
		t.Errorf("answers %v", got)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	delete(line, "msg")
	want := map[string]any{
		"level": "WARN", "kind": f.Kind.String(), "path": "sub/conn-2", "epoch": 2.0, "count": 3.0, "window": 1e9, "lived": 6e10,
		"cause": io.EOF.Error(), "goaway": frame.EnhanceYourCalm.String(), "debug": "calm\n", "clause": "RFC 9113 6.8",
	}
	if d := cmp.Diff(want, line); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Policies that count are shared by all channels of a system, and what they
// keep of subchannels that are no more is given up.
func TestCountingPoliciesAreSafeForConcurrentUse(t *testing.T) {
	stop := callboard.Stop()
	budget := callboard.RestartBudget(99, time.Hour, stop)
	flaps := callboard.FlapWindow(100, time.Hour, time.Hour, stop)
	var (
		wg sync.WaitGroup
		mu sync.Mutex
		n  = map[string]int{}
	)
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				f := youth(time.Second)
				f.At = policyEpoch.Add(time.Duration(i))
				for name, p := range map[string]func(callboard.Failure) callboard.Directive{"budget": budget, "flaps": flaps} {
					if p(f) == stop {
						mu.Lock()
						n[name]++
						mu.Unlock()
					}
				}
			}
		})
	}
	wg.Wait()
	// 800 failures: all behind the 99th, and every hundredth.
	if d := cmp.Diff(map[string]int{"budget": 701, "flaps": 8}, n); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
