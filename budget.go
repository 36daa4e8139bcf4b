package callboard

import (
	"math"
	"runtime/debug"
	"sync"

	"github.com/callboard-rpc/callboard/internal/flow"
)

const (
	processMemoryDefault = 256 << 20
	unbudgeted           = math.MaxInt64 / 4
)

// memory bounds what the connections of a system hold together: octets received
// and not read, and octets that wait to be sent. Either has as much, and neither
// is refused because of the other: what waits to be sent cannot be refused, so
// it could use up everything.
type memory struct {
	received *flow.Budget
	growth   *flow.Budget // part of received: what all windows together may grow by
	queued   *flow.Budget
}

// newMemory makes two budgets of n octets. The rest of received is for first
// parts, and for one large message of each connection that would get nothing
// otherwise.
func newMemory(n int64) *memory {
	received := flow.NewBudget(n, nil)
	return &memory{received: received, growth: flow.NewBudget(n/4*3, received), queued: flow.NewBudget(n, nil)}
}

// processMemory is shared by all systems that have none of their own: a quarter
// of GOMEMLIMIT, or 256 MiB where none is set.
var processMemory = sync.OnceValue(func() *memory {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		limit = 4 * processMemoryDefault
	}
	return newMemory(limit / 4)
})

// WithMemoryBudget limits what all connections of the system together hold of
// octets received and not read, and as much again of octets that wait to be
// sent. Past it windows stop growing, and streams end with RESOURCE_EXHAUSTED.
// Default, also for 0: a quarter of GOMEMLIMIT, or 256 MiB where none is set,
// shared by all such systems. Negative: no limit.
func WithMemoryBudget(octets int64) SystemOption {
	return systemOption(func(o *systemOptions) {
		switch {
		case octets == 0:
			o.memory = nil
		case octets < 0:
			o.memory = newMemory(unbudgeted)
		default:
			o.memory = newMemory(octets)
		}
	})
}

// clientStreams is how many streams of a client's connection the bound for
// received octets reckons with. Their number has no limit of ours.
const clientStreams = 1000

// receiving bounds what one connection may hold of what it received. Growth is
// for what the windows of its streams are larger by than in the beginning;
// received is for the octets that arrive within the initial windows. Both are
// charged to the system, no octet by both.
func (l *Limits) receiving(m *memory, window, streams uint32) (received, growth *flow.Budget) {
	if l.ReceiveBudget < 0 {
		return flow.NewBudget(unbudgeted, nil), nil
	}
	received = flow.NewBudget(l.ReceiveBudget+int64(window)*int64(streams), m.received)
	return received, flow.NewBudget(l.ReceiveBudget, m.growth)
}

// sending bounds what may wait to be written to one connection; nil: nothing
// does.
func (l *Limits) sending(m *memory) *flow.Budget {
	if l.SendBudget < 0 {
		return nil
	}
	return flow.NewBudget(l.SendBudget, m.queued)
}
