package attempt

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

var start = time.Unix(1_700_000_000, 0)

// step is one event and what is to follow from it.
type step struct {
	at   time.Duration // since the RPC began
	ev   Event
	want string
}

// show writes effects as a test has them.
func show(fx *Effects) string {
	var out []string
	for _, n := range fx.Cancel {
		out = append(out, fmt.Sprint("cancel ", n))
	}
	if fx.Commit != None {
		out = append(out, fmt.Sprint("commit ", fx.Commit))
	}
	for _, s := range fx.Start {
		w := fmt.Sprintf("start %d/%d", s.N, s.Previous)
		if s.Transparent {
			w += " transparent"
		}
		out = append(out, w)
	}
	if !fx.Wake.IsZero() {
		out = append(out, fmt.Sprint("wake ", fx.Wake.Sub(start)))
	}
	if fx.Finish {
		out = append(out, fmt.Sprint("finish ", fx.Final))
	}
	return strings.Join(out, ", ")
}

func play(t *testing.T, cfg Config, steps []step) *Machine {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = func() float64 { return 0.5 } // no jitter
	}
	m := New(cfg)
	fx := &Effects{}
	for i, s := range steps {
		fx.Reset()
		m.Step(s.ev, start.Add(s.at), fx)
		if got := show(fx); got != s.want {
			t.Errorf("step %d, %T%+v: %q, want %q", i, s.ev, s.ev, got, s.want)
		}
	}
	return &m
}

func ended(n int, c codes.Code) Ended { return Ended{N: n, Code: c} }

func pushed(n int, p Pushback) Ended {
	return Ended{N: n, Code: codes.Unavailable, Pushback: p}
}

func retrying(attempts int) *Policy {
	return &Policy{
		Attempts: attempts, Codes: CodesOf(codes.Unavailable),
		InitialBackoff: 100 * time.Millisecond, MaxBackoff: 300 * time.Millisecond, Multiplier: 2,
	}
}

const ms = time.Millisecond

func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   Config
		steps []step
	}{
		"backoff grows to its limit, then the last failure is the RPC's": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 100ms"},
			{99 * ms, Tick{}, "wake 100ms"},
			{100 * ms, Tick{}, "start 1/1"},
			{100 * ms, ended(1, codes.Unavailable), "wake 300ms"},
			{300 * ms, Tick{}, "start 2/2"},
			{300 * ms, ended(2, codes.Unavailable), "wake 600ms"},
			{600 * ms, Tick{}, "start 3/3"},
			{600 * ms, ended(3, codes.Unavailable), "wake 900ms"},
			{900 * ms, Tick{}, "start 4/4"},
			{900 * ms, ended(4, codes.Unavailable), "finish 4"},
		}},
		"jitter takes a fifth off": {Config{Policy: retrying(2), Rand: func() float64 { return 0 }}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 80ms"},
		}},
		"jitter adds up to a fifth": {Config{Policy: retrying(2), Rand: func() float64 { return 1 }}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 120ms"},
		}},
		"the client's limit counts": {Config{Policy: retrying(5), Limit: 2}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 100ms"},
			{100 * ms, Tick{}, "start 1/1"},
			{100 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"five at most unless the client says otherwise": {Config{Policy: retrying(100)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, pushed(0, Pushback{Given: true}), "wake 0s"},
			{0, Tick{}, "start 1/1"},
			{0, pushed(1, Pushback{Given: true}), "wake 0s"},
			{0, Tick{}, "start 2/2"},
			{0, pushed(2, Pushback{Given: true}), "wake 0s"},
			{0, Tick{}, "start 3/3"},
			{0, pushed(3, Pushback{Given: true}), "wake 0s"},
			{0, Tick{}, "start 4/4"},
			{0, pushed(4, Pushback{Given: true}), "finish 4"},
		}},
		"a code that is not retryable": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Internal), "finish 0"},
		}},
		"success": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.OK), "finish 0"},
		}},
		"nothing follows response headers": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, Headers{0}, "commit 0"},
			{0, ended(0, codes.Unavailable), "finish 0"},
		}},
		"nothing follows a full buffer": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, Full{0}, "commit 0"},
			{0, Ended{N: 0, Code: codes.Unavailable, Refused: true}, "finish 0"},
		}},
		"a buffer that is full between attempts makes the next the last": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 100ms"},
			{0, Full{None}, "wake 100ms"},
			{100 * ms, Tick{}, "commit 1, start 1/1"},
			{100 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"pushback says when, and the backoff begins anew": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 100ms"},
			{100 * ms, Tick{}, "start 1/1"},
			{100 * ms, pushed(1, ParsePushback([]string{"7"})), "wake 107ms"},
			{107 * ms, Tick{}, "start 2/2"},
			{107 * ms, ended(2, codes.Unavailable), "wake 207ms"},
		}},
		"pushback does not make a code retryable": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, Ended{N: 0, Code: codes.Internal, Pushback: Pushback{Given: true, Delay: ms}}, "finish 0"},
		}},
		"pushback forbids": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, pushed(0, ParsePushback([]string{"-1"})), "finish 0"},
		}},
		"cancelled while it waits": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "wake 100ms"},
			{0, Cancel{}, "finish -1"},
			{100 * ms, Tick{}, ""},
			{0, Cancel{}, ""},
		}},
		"cancelled under way": {Config{Policy: retrying(5)}, []step{
			{0, Begin{}, "start 0/0"},
			{0, Cancel{}, "cancel 0, finish -1"},
			{0, ended(0, codes.Canceled), ""},
		}},
	} {
		t.Run(name, func(t *testing.T) { play(t, tt.cfg, tt.steps) })
	}
}

func TestTransparentRetries(t *testing.T) {
	unsent := func(n int) Ended { return Ended{N: n, Code: codes.Unavailable, Unsent: true} }
	refused := func(n int) Ended { return Ended{N: n, Code: codes.Unavailable, Refused: true} }
	for name, tt := range map[string]struct {
		policy *Policy
		steps  []step
	}{
		"what never left, again and again": {nil, []step{
			{0, Begin{}, "start 0/0"},
			{0, unsent(0), "start 1/0 transparent"},
			{0, unsent(1), "start 2/0 transparent"},
			{0, unsent(2), "start 3/0 transparent"},
			{0, ended(3, codes.OK), "finish 3"},
		}},
		"what was refused, once": {nil, []step{
			{0, Begin{}, "start 0/0"},
			{0, refused(0), "start 1/0 transparent"},
			{0, unsent(1), "start 2/0 transparent"},
			{0, refused(2), "finish 2"},
		}},
		"refused twice is the policy's": {retrying(2), []step{
			{0, Begin{}, "start 0/0"},
			{0, refused(0), "start 1/0 transparent"},
			{0, refused(1), "wake 100ms"},
			{100 * ms, Tick{}, "start 2/1"},
			{100 * ms, unsent(2), "start 3/1 transparent"},
			{100 * ms, refused(3), "finish 3"},
		}},
		"a drop is final": {retrying(2), []step{
			{0, Begin{}, "start 0/0"},
			{0, Ended{N: 0, Code: codes.Unavailable, Dropped: true, Unsent: true}, "finish 0"},
		}},
		"a failure that is not the server's word": {nil, []step{
			{0, Begin{}, "start 0/0"},
			{0, ended(0, codes.Unavailable), "finish 0"},
		}},
	} {
		t.Run(name, func(t *testing.T) { play(t, Config{Policy: tt.policy}, tt.steps) })
	}
}

func TestPushback(t *testing.T) {
	stop := Pushback{Given: true, Stop: true}
	for in, want := range map[string]Pushback{
		"0": {Given: true}, "15": {Given: true, Delay: 15 * ms}, "2147483647": {Given: true, Delay: 2147483647 * ms},
		"-1": stop, "": stop, "x": stop, "1.5": stop, "2147483648": stop, " 1": stop, "99999999999999999999": stop,
	} {
		if got := ParsePushback([]string{in}); got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
	if got := ParsePushback(nil); got != (Pushback{}) {
		t.Errorf("none: %+v", got)
	}
	if got := ParsePushback([]string{"1", "1"}); got != stop {
		t.Errorf("two: %+v", got)
	}
}

func TestBackoffOfAnySizeIsPositive(t *testing.T) {
	p := &Policy{InitialBackoff: 1<<63 - 1, MaxBackoff: 1<<63 - 1, Multiplier: 1e300}
	for n := range 5 {
		if d := p.backoff(n, 0.99); d <= 0 {
			t.Errorf("backoff %d: %v", n, d)
		}
	}
}
