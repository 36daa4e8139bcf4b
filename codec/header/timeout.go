package header

import (
	"errors"
	"math"
	"strconv"
	"sync/atomic"
	"time"
)

// maxTimeoutDigits and maxTimeoutValue bound the number in a grpc-timeout
// ("at most 8 digits").
const (
	maxTimeoutDigits = 8
	maxTimeoutValue  = 99_999_999
)

// ErrTimeout is the error of ParseTimeout.
var ErrTimeout = errors.New("malformed timeout")

// timeoutUnits are the protocol's units, finest first.
var timeoutUnits = [...]struct {
	size time.Duration
	name byte
	from time.Duration // the unit serves durations from here on
}{
	{time.Nanosecond, 'n', 0},
	{time.Microsecond, 'u', time.Millisecond},
	{time.Millisecond, 'm', time.Second},
	{time.Second, 'S', maxTimeoutValue * time.Millisecond},
	{time.Minute, 'M', maxTimeoutValue * time.Second},
	{time.Hour, 'H', maxTimeoutValue * time.Minute},
}

// encodedTimeout remembers one encoding. Calls with the same deadline setting
// ask for the same few values again and again.
type encodedTimeout struct {
	n    int64
	unit byte
	text string
}

const timeoutSlots = 256

var recentTimeouts [timeoutSlots]atomic.Pointer[encodedTimeout]

// EncodeTimeout writes d as a grpc-timeout, rounded up so that the server
// never gives up first: to nanoseconds below a millisecond, microseconds below
// a second, then milliseconds while they fit. That is never more than 0.1 %
// too long, and it keeps the number of different values small. A timeout that
// has passed already is "0n".
func EncodeTimeout(d time.Duration) string {
	if d <= 0 {
		return "0n"
	}
	u := &timeoutUnits[0]
	for i := len(timeoutUnits) - 1; i > 0; i-- {
		if d > timeoutUnits[i].from {
			u = &timeoutUnits[i]
			break
		}
	}
	n := int64(d / u.size)
	if d%u.size != 0 {
		n++
	}
	slot := &recentTimeouts[(uint64(n)*31+uint64(u.name))%timeoutSlots]
	if e := slot.Load(); e != nil && e.n == n && e.unit == u.name {
		return e.text
	}
	b := make([]byte, 0, maxTimeoutDigits+1)
	text := string(append(strconv.AppendInt(b, n, 10), u.name))
	slot.Store(&encodedTimeout{n: n, unit: u.name, text: text})
	return text
}

// ParseTimeout reads a grpc-timeout: one to eight digits and a unit of
// "HMSmun". What exceeds a time.Duration is clamped to the longest one.
func ParseTimeout(s string) (time.Duration, error) {
	digits := len(s) - 1
	if digits < 1 || digits > maxTimeoutDigits {
		return 0, ErrTimeout
	}
	var n int64
	for i := range digits {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, ErrTimeout
		}
		n = n*10 + int64(c-'0')
	}
	for i := range timeoutUnits {
		u := &timeoutUnits[i]
		if u.name != s[digits] {
			continue
		}
		if n > math.MaxInt64/int64(u.size) {
			return math.MaxInt64, nil
		}
		return time.Duration(n) * u.size, nil
	}
	return 0, ErrTimeout
}
