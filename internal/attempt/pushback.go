package attempt

import (
	"strconv"
	"time"
)

// PushbackKey is the trailer by which a server says when to try again.
const PushbackKey = "grpc-retry-pushback-ms"

// Pushback is what a server says of the next attempt. The zero value: nothing.
type Pushback struct {
	Given bool
	Stop  bool          // there must be none
	Delay time.Duration // without Stop: it comes exactly then
}

// ParsePushback reads the trailer's values: milliseconds as a signed 32-bit
// integer. What is negative, unreadable or there twice means: no further
// attempt (gRFC A6, Pushback).
func ParsePushback(values []string) Pushback {
	if len(values) == 0 {
		return Pushback{}
	}
	ms, err := strconv.ParseInt(values[0], 10, 32)
	if err != nil || ms < 0 || len(values) > 1 {
		return Pushback{Given: true, Stop: true}
	}
	return Pushback{Given: true, Delay: time.Duration(ms) * time.Millisecond}
}
