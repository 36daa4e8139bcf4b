package thirdparty_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/callboard-rpc/callboard/actors"
	"go.uber.org/goleak"
)

// Nothing may be left when the tests are through: no goroutine, and no message
// that an actor did not know.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if n := actors.UnhandledCount(); n > 0 {
			fmt.Fprintf(os.Stderr, "%d messages had no case in their actor\n", n)
			code = 1
		}
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
