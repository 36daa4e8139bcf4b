package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/callboard-rpc/callboard"
)

// screen prints. On a terminal the line of numbers is one line that changes;
// elsewhere each is a line of its own.
type screen struct {
	w     io.Writer
	cols  int // of the terminal
	tty   bool
	paint bool
	utf8  bool
	shown bool // a changing line stands at the cursor
	head  bool
}

func newScreen(f *os.File) *screen {
	cols := columnsOf(f)
	return &screen{w: f, cols: cols, tty: cols > 0, paint: cols > 0 && os.Getenv("NO_COLOR") == "", utf8: speaksUTF8()}
}

// speaksUTF8 asks the locale, in the order POSIX has it.
func speaksUTF8() bool {
	for _, v := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if l := os.Getenv(v); l != "" {
			l = strings.ToUpper(l)
			return strings.Contains(l, "UTF-8") || strings.Contains(l, "UTF8")
		}
	}
	return false
}

const (
	width  = 80 // columns that what we print keeps to
	indent = 9  // of an event's further lines
)

// Colours, for what went well and what did not.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
)

func (s *screen) colour(code, text string) string {
	if !s.paint || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) printf(format string, args ...any) {
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.shown = false
	}
	fmt.Fprintf(s.w, format, args...)
}

// keep leaves the changing line as it stands.
func (s *screen) keep() {
	if s.shown {
		s.shown = false
		s.printf("\n")
	}
}

func (s *screen) opening(cfg Config, r *rig) {
	s.printf("%s\n\n", s.colour(bold, "callboard demo: a server and a client over "+r.lis.Addr().String()))
	s.printf("%d callers, unary, %d bytes each way, wait-for-ready, deadline %v\n", cfg.Concurrency, payloadSize, cfg.Deadline)
	s.printf("%d bidi streams, ping-pong; %v in all, the connection is cut after %v\n\n", cfg.Streams, cfg.Duration, cfg.Duration/2)
}

const columns = "%7s %9s %8s %8s %9s %6s %7s  %s"

// live prints a line of numbers in place of the one before.
func (s *screen) live(r reading) {
	if !s.head {
		s.head = true
		s.printf("%s\n", s.colour(faint, fmt.Sprintf(columns, "time", "unary/s", "p50", "p99", "stream/s", "open", "conn", "deepest mailbox")))
	}
	deepest := "-"
	if r.deepest > 0 {
		deepest = fmt.Sprintf("%d %s", r.deepest, r.where)
	}
	line := fmt.Sprintf(columns, fmt.Sprintf("%.1fs", r.at.Seconds()), thousands(int64(r.rate)), short(r.p50), short(r.p99),
		thousands(int64(r.msgRate)), thousands(int64(r.open)), fmt.Sprintf("conn-%d", r.epoch), deepest)
	if !s.tty {
		s.printf("%s\n", line)
		return
	}
	s.printf("%s", line)
	s.shown = true
}

// event prints something that happened, with further lines below it.
func (s *screen) event(at time.Duration, what, text string) {
	s.keep()
	text = strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent))
	s.printf("%7s  %s: %s\n", fmt.Sprintf("%.3fs", at.Seconds()), s.colour(bold, what), text)
}

// failure prints what the supervisor was told and what it answered.
func (s *screen) failure(at time.Duration, f callboard.Failure, d callboard.Directive) {
	answer := "the usual backoff"
	if d != callboard.Default() {
		answer = "reconnect at once"
	}
	s.event(at, "supervision", fmt.Sprintf("%s is lost: %v\n%s\nanswer: %s", tail(f.Path, 2), f.Kind, wrap(fmt.Sprint(f.Cause), width-indent), answer))
}

// wrap breaks text between words, so that lines are at most n long where that
// is possible.
func wrap(text string, n int) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case used+1+len(word) > n:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	return b.String()
}

// tail is the last n parts of a path.
func tail(p string, n int) string {
	parts := strings.Split(p, "/")
	if len(parts) <= n {
		return p
	}
	return ".../" + strings.Join(parts[len(parts)-n:], "/")
}

func (s *screen) closing(took time.Duration, left int, err error) {
	text := fmt.Sprintf("client closed, server drained, actors stopped in %s; left: %d", short(took), left)
	if err != nil {
		text = s.colour(red, err.Error())
	}
	s.printf("\nshutdown   %s\n", text)
}

// short prints a duration with two or three digits.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0fms", float64(d)/float64(time.Millisecond))
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%dus", d.Microseconds())
	}
}

// thousands groups digits: 148,212.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
