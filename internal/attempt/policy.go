package attempt

import (
	"math"
	"time"

	"google.golang.org/grpc/codes"
)

// DefaultLimit is how many attempts an RPC is given at most, whatever its
// policy says, unless the client raises it (gRFC A6, Limits on Retries and
// Hedges).
const DefaultLimit = 5

// Policy is how a method's RPCs are tried. Attempts counts the first one, too;
// transparent retries are not among them.
type Policy struct {
	Attempts int   // at least 2
	Codes    Codes // those that let the next attempt be made: retryable, or non-fatal to a hedged RPC
	Hedging  bool
	Delay    time.Duration // hedging: between two attempts; 0 sends all at once

	// Of a retry policy.
	InitialBackoff time.Duration
	MaxBackoff     time.Duration
	Multiplier     float64
}

// backoff is the wait before the next attempt, the nth since backoff began.
// jitter is a random number in [0, 1).
func (p *Policy) backoff(n int, jitter float64) time.Duration {
	d := float64(p.InitialBackoff) * math.Pow(p.Multiplier, float64(n))
	d = min(d, float64(p.MaxBackoff)) * (0.8 + 0.4*jitter)
	if d >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(d)
}

// Codes is a set of status codes.
type Codes uint32

// CodesOf makes a set. Codes that gRPC does not define are left out.
func CodesOf(cs ...codes.Code) (set Codes) {
	for _, c := range cs {
		if c < 32 {
			set |= 1 << c
		}
	}
	return set
}

// Has says whether c is in the set.
func (s Codes) Has(c codes.Code) bool { return c < 32 && s&(1<<c) != 0 }
