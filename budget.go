package callboard

import (
	"math"
	"runtime/debug"

	"github.com/callboard-rpc/callboard/internal/flow"
)

// Received octets that are held for applications: per process and per
// connection.
const (
	processBudgetDefault = 256 << 20
	connBudget           = 16 << 20
)

// newProcessBudget is a quarter of GOMEMLIMIT, or 256 MiB where none is set.
func newProcessBudget() *flow.Budget {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		limit = 4 * processBudgetDefault
	}
	return flow.NewBudget(limit/4, nil)
}
