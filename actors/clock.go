package actors

import "time"

// epoch is the zero of all stamps. Reading the monotonic distance to it costs
// half of time.Now and follows the virtual time of a synctest bubble.
var epoch = time.Now()

// stamp is a monotonic instant in nanoseconds.
type stamp int64

func clock() stamp { return stamp(time.Since(epoch)) }

// since is the time passed from s to now, never negative.
func (s stamp) since(now stamp) time.Duration { return max(time.Duration(now-s), 0) }

// wall gives the wall clock time of s.
func (s stamp) wall() time.Time { return time.Now().Add(-s.since(clock())) }
