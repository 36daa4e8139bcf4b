package demo

import (
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
)

// gauge reads the system from outside, a few times per printed line.
type gauge struct {
	sys     *callboard.System
	t       *tally
	last    reading // counters as of the last line
	lat     *counts
	now     reading
	opened  int // sum over the samples since the last line
	samples int
	history []point
}

// point is the unary rate at one sample.
type point struct {
	at time.Duration
	ok int64
}

// reading is one line of numbers.
type reading struct {
	at       time.Duration
	calls    int64 // answered so far
	messages int64
	rate     float64 // unary calls per second since the last line
	msgRate  float64
	p50, p99 time.Duration
	open     int    // streams of the client's connections, on average
	deepest  int    // most messages seen waiting in one mailbox since the last line
	where    string // whose mailbox
	epoch    int    // of the client's newest connection
}

func newGauge(sys *callboard.System, t *tally) *gauge {
	return &gauge{sys: sys, t: t, lat: t.latency.counts()}
}

// sample looks at every actor. It asks none of them.
func (g *gauge) sample() {
	g.samples++
	g.sys.Inspect().Walk(func(_ int, n *inspect.Node) bool {
		if n.Mailbox.Depth > g.now.deepest {
			g.now.deepest, g.now.where = n.Mailbox.Depth, whose(n.Path)
		}
		if side(n.Path) == "client" {
			g.client(n)
		}
		return true
	})
	g.history = append(g.history, point{at: g.t.elapsed(), ok: g.t.callsOK.Load()})
}

func (g *gauge) client(n *inspect.Node) {
	switch n.Kind {
	case "stream":
		if serves(n) {
			g.opened++
		}
	case "conn":
		if e, err := strconv.Atoi(strings.TrimPrefix(n.Name, "conn-")); err == nil {
			g.now.epoch = max(g.now.epoch, e)
		}
	}
}

// reading closes the interval.
func (g *gauge) reading() reading {
	r := g.now
	lat := g.t.latency.counts()
	d := lat.since(g.lat)
	r.at, r.calls, r.messages = g.t.elapsed(), g.t.callsOK.Load(), g.t.messages.Load()
	sec := max(r.at-g.last.at, time.Millisecond).Seconds()
	r.rate = float64(r.calls-g.last.calls) / sec
	r.msgRate = float64(r.messages-g.last.messages) / sec
	r.p50, r.p99 = d.quantile(0.50), d.quantile(0.99)
	r.open = g.opened / max(g.samples, 1)
	g.last, g.lat, g.opened, g.samples = r, lat, 0, 0
	g.now.deepest, g.now.where = 0, ""
	return r
}

// side says which half of the system an actor belongs to.
func side(p string) string {
	parts := strings.SplitN(p, "/", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// whose names a mailbox in a few letters.
func whose(p string) string { return side(p) + " " + path.Base(p) }
