package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/callboard-rpc/callboard/inspect"
)

// report prints the sums.
func (s *screen) report(t *tally) {
	lat := t.latency.counts()
	s.keep()
	s.printf("\n%s\n\n", s.colour(bold, "Result"))
	s.chart(t)
	s.row("unary calls", "%s answered, %s; p50 %s, p99 %s, p99.9 %s", thousands(t.callsOK.Load()), s.failed(t.callsFailed.Load()),
		short(lat.quantile(0.50)), short(lat.quantile(0.99)), short(lat.quantile(0.999)))
	s.row("streams", "%s round trips, %s", thousands(t.messages.Load()), s.failed(t.streamsFailed.Load()))
	again := t.callsRetried.Load()
	s.row("the cut", "in flight when cut: %d calls, %d streams", t.cutCalls, t.cutStreams)
	s.row("", "UNAVAILABLE, retried by their callers: %d calls, %d streams", again, t.streamsRetried.Load())
	s.row("", "answered, or unseen by the server and resent by callboard: %d calls", max(0, t.cutCalls-again))
	if at := t.recoveredAt.Load(); at != 0 {
		s.row("recovery", "%s from the cut to the new connection's first answer", short(time.Duration(at-t.cutAt.Load())))
	}
}

func (s *screen) row(name, format string, args ...any) {
	s.printf("%-12s %s\n", name, fmt.Sprintf(format, args...))
}

func (s *screen) failed(n int64) string {
	if n == 0 {
		return s.colour(green, "failed: 0")
	}
	return s.colour(red, fmt.Sprintf("failed: %d", n))
}

const chartWidth = 54

// chart draws the unary rate over the run, and where the cut was.
func (s *screen) chart(t *tally) {
	rates, span := resample(t.history, chartWidth)
	if len(rates) == 0 {
		return
	}
	top := 0.0
	for _, r := range rates {
		top = max(top, r)
	}
	levels := []rune("_.:-=+*#%@")
	if s.utf8 {
		levels = []rune("▁▂▃▄▅▆▇█")
	}
	var b strings.Builder
	for _, r := range rates {
		i := 0
		if top > 0 {
			i = int(r / top * float64(len(levels)-1))
		}
		b.WriteRune(levels[i])
	}
	s.row("unary/s", "%s %s", b.String(), thousands(int64(top)))
	if cut := time.Duration(t.cutAt.Load()); cut > 0 && cut < span {
		s.row("", "%s^ the cut", strings.Repeat(" ", int(int64(cut)*int64(len(rates))/int64(span))))
	}
	s.printf("\n")
}

// resample turns samples at irregular times into n rates of equal width.
func resample(h []point, n int) (rates []float64, span time.Duration) {
	if len(h) < 2 {
		return nil, 0
	}
	span = h[len(h)-1].at
	n = min(n, len(h)-1)
	step := span / time.Duration(n)
	prev, j := point{}, 0
	for i := range n {
		end := step * time.Duration(i+1)
		for j < len(h)-1 && h[j].at < end {
			j++
		}
		if h[j].at > prev.at {
			rates = append(rates, float64(h[j].ok-prev.ok)/(h[j].at-prev.at).Seconds())
			prev = h[j]
		}
	}
	return rates, span
}

// tree prints the actors as they were under load.
func (s *screen) tree(snap *inspect.Snapshot, whole bool) {
	s.printf("\n%s\n\n", s.colour(bold, "Actors and mailboxes, under load"))
	if !whole {
		snap = fold(snap)
	}
	for line := range strings.Lines(snap.String()) {
		s.printf("%s\n", s.clip(strings.TrimRight(line, "\n")))
	}
}

// clip keeps a line from wrapping on a narrow terminal; what is cut off is in
// the output when it goes elsewhere.
func (s *screen) clip(line string) string {
	if r := []rune(line); s.tty && len(r) > s.cols {
		return string(r[:s.cols])
	}
	return line
}
