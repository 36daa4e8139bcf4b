package testpeer

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// A transcript keeps the beginning and the end of a long conversation.
const (
	transcriptHead = 60
	transcriptTail = 120
	// transcriptText clips what one field or payload may show.
	transcriptText = 64
)

// transcript is the conversation as text. Equal neighbours become one line with
// a count, so that a flood reads as one line.
type transcript struct {
	mu      sync.Mutex
	begin   time.Time
	head    []line
	tail    []line
	dropped int
}

type line struct {
	at    time.Duration
	text  string
	times int
}

func newTranscript() *transcript { return &transcript{begin: time.Now()} }

func (r *transcript) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.last(); l != nil && l.text == text {
		l.times++
		return
	}
	l := line{at: time.Since(r.begin), text: text, times: 1}
	if len(r.head) < transcriptHead {
		r.head = append(r.head, l)
		return
	}
	if len(r.tail) == transcriptTail {
		r.dropped++
		r.tail = append(r.tail[:0], r.tail[1:]...)
	}
	r.tail = append(r.tail, l)
}

func (r *transcript) last() *line {
	switch {
	case len(r.tail) > 0:
		return &r.tail[len(r.tail)-1]
	case len(r.head) > 0:
		return &r.head[len(r.head)-1]
	}
	return nil
}

func (r *transcript) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	b.WriteString("transcript (-> sent by the script, <- received):\n")
	r.write(&b, r.head)
	if r.dropped > 0 {
		fmt.Fprintf(&b, "  ... %d lines ...\n", r.dropped)
	}
	r.write(&b, r.tail)
	return b.String()
}

func (*transcript) write(b *strings.Builder, lines []line) {
	for _, l := range lines {
		fmt.Fprintf(b, "  %8s %s", l.at.Round(100*time.Microsecond), l.text)
		if l.times > 1 {
			fmt.Fprintf(b, "  (x%d)", l.times)
		}
		b.WriteByte('\n')
	}
}

// clip shortens and escapes bytes for one line of text.
func clip(s string) string {
	if len(s) > transcriptText {
		return fmt.Sprintf("%q... (%d bytes)", s[:transcriptText], len(s))
	}
	return fmt.Sprintf("%q", s)
}
