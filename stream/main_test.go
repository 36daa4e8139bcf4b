package stream

import (
	"fmt"
	"os"
	"testing"

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
