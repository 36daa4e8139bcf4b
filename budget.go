package callboard

import (
	"math"
	"runtime/debug"
	"sync"

	"github.com/callboard-rpc/callboard/internal/flow"
)

// Received octets that are held for applications: per process and per
// connection.
const (
	processBudgetDefault = 256 << 20
	connBudget           = 16 << 20
	unbudgeted           = math.MaxInt64 / 4
)

// clientStreams is how many streams of a client's connection the bound for
// received octets reckons with. Their number has no limit of ours.
const clientStreams = 1000

// budgets bound what one connection may hold. Growth is for what the windows of
// its streams are larger by than in the beginning; received is for the octets
// that arrive within the initial windows. Both are charged to the process, no
// octet by both.
func (l *limits) budgets(process *flow.Budget, window, streams uint32) (received, growth *flow.Budget) {
	if l.connBudget == unbudgeted {
		return flow.NewBudget(unbudgeted, nil), nil
	}
	received = flow.NewBudget(l.connBudget+int64(window)*int64(streams), process)
	return received, flow.NewBudget(l.connBudget, growthHeld())
}

// growthHeld is what all windows of the process together may grow by. The rest
// of its budget is for first parts, and for one large message of each connection
// that would get nothing otherwise.
var growthHeld = sync.OnceValue(func() *flow.Budget {
	process := processHeld()
	return flow.NewBudget(process.Limit()/4*3, process)
})

// newProcessBudget is a quarter of GOMEMLIMIT, or 256 MiB where none is set.
func newProcessBudget() *flow.Budget {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		limit = 4 * processBudgetDefault
	}
	return flow.NewBudget(limit/4, nil)
}
