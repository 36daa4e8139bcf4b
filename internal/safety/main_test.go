package safety_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/actors"
)

// processBudget is how many received octets all connections may hold together.
const processBudget = 64 << 20

func TestMain(m *testing.M) {
	// The budget of the process is a quarter of the memory limit, as it is when
	// the first system is made: small enough to be used up here.
	limit := debug.SetMemoryLimit(4 * processBudget)
	if _, err := callboard.NewSystem(callboard.WithName("first")); err != nil {
		panic(err)
	}
	debug.SetMemoryLimit(limit)
	code := m.Run()
	if code == 0 {
		if n := actors.UnhandledCount(); n > 0 {
			fmt.Fprintf(os.Stderr, "%d messages that no actor knew\n", n)
			code = 1
		}
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
