package flow

import (
	"fmt"
	"time"
)

// Bucket is a token bucket: a burst at once, then a steady rate. It is how a
// connection counts what is harmless once and an attack by the thousand
// (RST_STREAM, PING, SETTINGS, empty frames). Time is the caller's.
type Bucket struct {
	burst int64
	rate  int64 // tokens per second
	level int64 // in nanotokens, burst*1e9 at most
	at    time.Time
}

const nano = int64(time.Second)

// NewBucket makes a full bucket of burst tokens that refills at rate tokens
// per second.
func NewBucket(burst, rate int) Bucket {
	if burst < 0 || rate < 0 || int64(burst) > (1<<62)/nano {
		panic(fmt.Sprintf("flow: bucket of %d tokens, %d per second", burst, rate))
	}
	return Bucket{burst: int64(burst), rate: int64(rate), level: int64(burst) * nano}
}

// Take removes n tokens, or none and returns false when fewer are left. A now
// before the latest one seen refills nothing.
func (b *Bucket) Take(now time.Time, n int) bool {
	b.refill(now)
	cost := int64(n) * nano
	if n < 0 || cost/nano != int64(n) || cost > b.level {
		return false
	}
	b.level -= cost
	return true
}

// Tokens is how many whole tokens are left.
func (b *Bucket) Tokens(now time.Time) int {
	b.refill(now)
	return int(b.level / nano)
}

// Burst is how many tokens a full bucket holds.
func (b *Bucket) Burst() int { return int(b.burst) }

func (b *Bucket) refill(now time.Time) {
	if b.at.IsZero() {
		b.at = now
		return
	}
	passed := now.Sub(b.at)
	if passed <= 0 {
		return
	}
	b.at = now
	missing := b.burst*nano - b.level
	if b.rate == 0 || missing == 0 {
		return
	}
	// Compared by division: passed*rate overflows after a long idle time.
	if int64(passed) > missing/b.rate {
		b.level = b.burst * nano
		return
	}
	b.level += int64(passed) * b.rate
}
