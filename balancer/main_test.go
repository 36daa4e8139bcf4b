package balancer

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/callboard-rpc/callboard/actors"
)

func TestMain(m *testing.M) {
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

// bubble runs f with virtual time. Pooled calls hold channels, and those may
// not wander from one bubble to the next: two collections empty the pools.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	synctest.Test(t, f)
	runtime.GC()
	runtime.GC()
}
