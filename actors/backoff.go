package actors

import (
	"math"
	"math/rand/v2"
	"time"
)

// Backoff is a delay that grows with each failure in a row. The zero Backoff
// does not wait.
type Backoff struct {
	Base   time.Duration // after the first failure
	Max    time.Duration // the most, before jitter
	Factor float64       // growth per failure
	Jitter float64       // share by which a delay varies in either direction
}

// GRPCBackoff has the values of gRPC's connection backoff: 1 s, growing by 1.6
// to 120 s, varied by 20 %.
var GRPCBackoff = Backoff{Base: time.Second, Max: 120 * time.Second, Factor: 1.6, Jitter: 0.2}

// Delay is the time to wait after the n-th failure in a row, n counted from 1.
func (b Backoff) Delay(n int) time.Duration {
	if b.Base <= 0 || n <= 0 {
		return 0
	}
	d := float64(b.Base) * math.Pow(max(b.Factor, 1), float64(n-1))
	d = min(d, float64(max(b.Max, b.Base)))
	return time.Duration(d * (1 + b.Jitter*(2*rand.Float64()-1)))
}
