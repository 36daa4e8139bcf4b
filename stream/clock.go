package stream

import (
	"sync/atomic"
	"time"
)

// Clock is the time as of the connection's last socket read or write. Streams
// step on it: reading the real clock once per message would cost more than
// most steps do.
type Clock struct {
	base time.Time
	off  atomic.Int64
}

// NewClock makes a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{base: t} }

// Set moves the clock.
func (c *Clock) Set(t time.Time) { c.off.Store(int64(t.Sub(c.base))) }

// Now is the time of the last Set.
func (c *Clock) Now() time.Time { return c.base.Add(time.Duration(c.off.Load())) }

// Read is the real time. It moves nothing: a caller's reading must not lag
// behind for others.
func (c *Clock) Read() time.Time { return c.base.Add(time.Since(c.base)) }
