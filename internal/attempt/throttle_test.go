package attempt

import (
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
)

func TestThrottleClosesAtHalf(t *testing.T) {
	th := NewThrottle(Throttling{MaxTokens: 10_000, TokenRatio: 100})
	for i := range 4 {
		if !th.Failed() {
			t.Errorf("closed after %d failures", i+1)
		}
	}
	if th.Failed() || th.Open() {
		t.Error("open at half")
	}
	for range 10 {
		th.Succeeded()
	}
	if !th.Open() {
		t.Error("closed with 6 of 10")
	}
	for range 100 {
		th.Failed()
	}
	if got := th.tokens.Load(); got != 0 {
		t.Errorf("%d tokens, want none", got)
	}
	for range 1000 {
		th.Succeeded()
	}
	if got := th.tokens.Load(); got != 10_000 {
		t.Errorf("%d tokens, want all", got)
	}
}

func TestOnlyQualifiedFailuresCount(t *testing.T) {
	for name, tt := range map[string]struct {
		policy *Policy
		ev     Ended
		lost   int64
	}{
		"retryable":                     {retrying(2), ended(0, codes.Unavailable), 1000},
		"not retryable":                 {retrying(2), ended(0, codes.InvalidArgument), 0},
		"not retryable, with pushback":  {retrying(2), Ended{Code: codes.Internal, Pushback: Pushback{Given: true, Stop: true}}, 1000},
		"transparent":                   {retrying(2), Ended{Code: codes.Unavailable, Refused: true}, 0},
		"not fatal":                     {hedging(2, ms), ended(0, codes.Unavailable), 1000},
		"fatal":                         {hedging(2, ms), ended(0, codes.InvalidArgument), 0},
		"without a policy":              {nil, ended(0, codes.Unavailable), 0},
		"dropped by the load balancing": {retrying(2), Ended{Code: codes.Unavailable, Dropped: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			th := NewThrottle(Throttling{MaxTokens: 10_000, TokenRatio: 100})
			m := New(Config{Policy: tt.policy, Throttle: th, Rand: func() float64 { return 0 }})
			fx := &Effects{}
			m.Step(Begin{}, start, fx)
			m.Step(tt.ev, start, fx)
			if got := 10_000 - th.tokens.Load(); got != tt.lost {
				t.Errorf("%d thousandths lost, want %d", got, tt.lost)
			}
		})
	}
}

func TestThrottledRetryIsNotMade(t *testing.T) {
	th := NewThrottle(Throttling{MaxTokens: 4000, TokenRatio: 100})
	play(t, Config{Policy: retrying(5), Throttle: th}, []step{
		{0, Begin{}, "start 0/0"},
		{0, ended(0, codes.Unavailable), "wake 100ms"},
		{100 * ms, Tick{}, "start 1/1"},
		{100 * ms, ended(1, codes.Unavailable), "finish 1"},
	})
}

func TestRenewedThrottleIsAsFull(t *testing.T) {
	cfg := Throttling{MaxTokens: 10_000, TokenRatio: 100}
	th := NewThrottle(cfg)
	for range 5 {
		th.Failed()
	}
	if th.Renew(cfg) != th {
		t.Error("a new throttle where nothing has changed")
	}
	if got := th.Renew(Throttling{MaxTokens: 100_000, TokenRatio: 1}).tokens.Load(); got != 50_000 {
		t.Errorf("%d thousandths of 100, want half", got)
	}
	if got := (*Throttle)(nil).Renew(cfg).tokens.Load(); got != 10_000 {
		t.Errorf("%d thousandths of a first throttle, want all", got)
	}
}

func TestThrottleIsConcurrent(t *testing.T) {
	th := NewThrottle(Throttling{MaxTokens: 1_000_000, TokenRatio: 1000})
	for range 500 {
		th.Failed()
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				th.Failed()
				th.Succeeded()
			}
		})
	}
	wg.Wait()
	if got := th.tokens.Load(); got != 500_000 {
		t.Errorf("%d thousandths, want 500000", got)
	}
}
