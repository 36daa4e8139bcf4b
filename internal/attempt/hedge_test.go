package attempt

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func hedging(attempts int, delay time.Duration) *Policy {
	return &Policy{Attempts: attempts, Hedging: true, Delay: delay, Codes: CodesOf(codes.Unavailable)}
}

func TestHedging(t *testing.T) {
	for name, tt := range map[string]struct {
		policy *Policy
		steps  []step
	}{
		"one after the other while nothing comes": {hedging(3, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{9 * ms, Tick{}, "wake 10ms"},
			{10 * ms, Tick{}, "start 1/1, wake 20ms"},
			{20 * ms, Tick{}, "start 2/2"},
			{30 * ms, Tick{}, ""},
		}},
		"without delay all at once": {hedging(3, 0), []step{
			{0, Begin{}, "start 0/0, start 1/1, start 2/2"},
			{0, ended(1, codes.Unavailable), ""},
			{0, ended(2, codes.Unavailable), ""},
			{0, ended(0, codes.Unavailable), "finish 0"},
		}},
		"the first headers win": {hedging(3, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{10 * ms, Tick{}, "start 1/1, wake 20ms"},
			{11 * ms, Headers{1}, "cancel 0, commit 1"},
			{12 * ms, Headers{0}, ""},
			{20 * ms, Tick{}, ""},
			{21 * ms, ended(0, codes.OK), ""},
			{22 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"a success without headers wins": {hedging(3, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{10 * ms, Tick{}, "start 1/1, wake 20ms"},
			{11 * ms, ended(0, codes.OK), "cancel 1, finish 0"},
		}},
		"a code that is not fatal brings the next forward": {hedging(3, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{2 * ms, ended(0, codes.Unavailable), "start 1/1, wake 12ms"},
			{12 * ms, Tick{}, "start 2/2"},
			{13 * ms, ended(2, codes.Unavailable), ""},
			{14 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"a fatal code is the RPC's": {hedging(3, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{10 * ms, Tick{}, "start 1/1, wake 20ms"},
			{11 * ms, ended(1, codes.InvalidArgument), "cancel 0, finish 1"},
		}},
		"pushback says when the next is sent": {hedging(4, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{2 * ms, pushed(0, Pushback{Given: true, Delay: 100 * ms}), "wake 102ms"},
			{10 * ms, Tick{}, "wake 102ms"},
			{102 * ms, Tick{}, "start 1/1, wake 112ms"},
		}},
		"pushback of nothing is now": {hedging(3, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{2 * ms, pushed(0, Pushback{Given: true}), "start 1/1, wake 12ms"},
		}},
		"pushback stops those not sent, and waits for those that were": {hedging(4, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{10 * ms, Tick{}, "start 1/1, wake 20ms"},
			{11 * ms, pushed(0, Pushback{Given: true, Stop: true}), ""},
			{20 * ms, Tick{}, ""},
			{21 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"pushback stops with nothing under way": {hedging(4, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{2 * ms, pushed(0, Pushback{Given: true, Stop: true}), "finish 0"},
		}},
		"a full buffer leaves the one that got furthest": {hedging(4, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{10 * ms, Tick{}, "start 1/1, wake 20ms"},
			{11 * ms, Full{0}, "cancel 1, commit 0"},
			{20 * ms, Tick{}, ""},
			{21 * ms, ended(0, codes.Unavailable), "finish 0"},
		}},
		"a full buffer between attempts leaves the next": {hedging(4, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{1 * ms, pushed(0, Pushback{Given: true, Delay: 5 * ms}), "wake 6ms"},
			{2 * ms, Full{None}, "wake 6ms"},
			{6 * ms, Tick{}, "commit 1, start 1/1"},
			{7 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"transparent retries are not counted": {hedging(2, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{1 * ms, Ended{N: 0, Code: codes.Unavailable, Refused: true}, "start 1/0 transparent, wake 10ms"},
			{10 * ms, Tick{}, "start 2/1"},
			{11 * ms, Ended{N: 2, Code: codes.Unavailable, Refused: true}, ""},
			{12 * ms, ended(1, codes.Unavailable), "finish 1"},
		}},
		"cancelled": {hedging(2, 10*ms), []step{
			{0, Begin{}, "start 0/0, wake 10ms"},
			{10 * ms, Tick{}, "start 1/1"},
			{11 * ms, Cancel{}, "cancel 0, cancel 1, finish -1"},
		}},
	} {
		t.Run(name, func(t *testing.T) { play(t, Config{Policy: tt.policy}, tt.steps) })
	}
}

func TestThrottledHedgesAreNotSent(t *testing.T) {
	th := NewThrottle(Throttling{MaxTokens: 4000, TokenRatio: 100})
	th.Failed()
	th.Failed() // 2 of 4: closed
	play(t, Config{Policy: hedging(3, 0), Throttle: th}, []step{
		{0, Begin{}, "start 0/0"},
		{0, ended(0, codes.Unavailable), "finish 0"},
	})
	// It closes while a hedge is waited for.
	th = NewThrottle(Throttling{MaxTokens: 4000, TokenRatio: 100})
	play(t, Config{Policy: hedging(3, 10*ms), Throttle: th}, []step{
		{0, Begin{}, "start 0/0, wake 10ms"},
		{0, ended(0, codes.Unavailable), "start 1/1, wake 10ms"},
		{0, ended(1, codes.Unavailable), "finish 1"},
	})
	// It closes by others' failures while the time of a hedge is set by pushback.
	th = NewThrottle(Throttling{MaxTokens: 4000, TokenRatio: 100})
	fx := &Effects{}
	fx.Reset()
	m := New(Config{Policy: hedging(3, 10*ms), Throttle: th})
	m.Step(Begin{}, start, fx)
	m.Step(pushed(0, Pushback{Given: true, Delay: 5 * ms}), start, fx)
	th.Failed()
	fx.Reset()
	m.Step(Tick{}, start.Add(5*ms), fx)
	if got := show(fx); got != "finish 0" {
		t.Errorf("a hedge that is throttled when its time comes: %q", got)
	}
}
