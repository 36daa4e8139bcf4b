package callboard_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

const crashEnv = "CALLBOARD_TEST_CRASH"

func TestCrashOnPanic(t *testing.T) {
	if os.Getenv(crashEnv) != "" {
		cc := playbook{unary: func(context.Context, *text) (*text, error) { panic("on purpose") }}.ours(t, callboard.CrashOnPanic())
		_ = cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashOnPanic$") //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), crashEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("the process survived")
	}
	for _, want := range []string{"on purpose", "TestCrashOnPanic"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the trace lacks %q:\n%s", want, out)
		}
	}
}
