package demo

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The whole demo with little load: a cut connection fails no call.
func TestRunRecoversWithoutAFailedCall(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), f, Config{Duration: time.Second, Concurrency: 8, Streams: 2, Deadline: 10 * time.Second})
	_ = f.Close()
	b, rerr := os.ReadFile(name)
	if rerr != nil {
		t.Fatal(rerr)
	}
	out := string(b)
	if err != nil {
		t.Fatalf("Run: %v\n%s", err, out)
	}
	for _, want := range []string{
		`cut: the server's socket is reset`,
		`supervision: \.\.\./subchannel-1/conn-1 is lost: peer gone`,
		`answer: reconnect at once`,
		`recovered: `,
		`unary calls +[0-9,]+ answered, failed: 0`,
		`in flight when cut: `,
		`(?m)^ +conn-2 +ready`,
		`server/`,
		`actors stopped in .*; left: 0`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output lacks %q", want)
		}
	}
	before, _, _ := strings.Cut(out, "Actors and mailboxes")
	for line := range strings.Lines(before) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestRunInterruptedSaysSo(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nobody reads it
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := Run(ctx, f, Config{Duration: time.Minute, Concurrency: 2, Streams: 1, Deadline: time.Second}); err == nil {
		t.Error("Run returned nil")
	}
}
