package connfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Streams whose windows may not grow stand in line here. Whoever holds growth
// returns it sooner or later, because a message that was let in needs nothing
// but its peer to be complete: so the line moves. Two cases need more than
// patience. A message may be larger than what is ever left, behind windows that
// were allowed to stay large: these are less than half of the budget, so while
// no more than that is taken, the first in line has it whatever the connection's
// limit says. And other connections may have used up the process's budget: they
// do not tell when they return it, so it is asked again and again.

// starver is a stream in line: it lacks n octets.
type starver struct {
	slot frame.SlotIndex
	id   frame.StreamID
	n    int
}

const (
	retryGrowth    = 50 * time.Millisecond
	growthPatience = time.Second // with the process's budget used up; then the newest in line goes, and one with each further try
)

// line is the streams that starve, those first that have done so longest.
type line struct {
	queue   []starver
	refused time.Time // since when it is the process that refuses; zero: it does not
	retry   time.Time // with refused: when to ask again
}

// nobody is the line of all connections whose streams may grow.
var nobody line

// ownLine is m.line, to be written to.
func (m *Machine) ownLine() *line {
	if m.line == &nobody {
		m.line = new(line)
	}
	return m.line
}

// starved puts a stream in line.
func (m *Machine) starved(ev *Starved, fx *Effects) {
	s := m.streams.find(ev.ID)
	if s == frame.NoSlot || m.state.over() {
		return
	}
	if sl := m.streams.at(ev.Slot, ev.ID); sl.reset || sl.void {
		return
	}
	l := m.ownLine()
	l.queue = append(l.queue, starver{slot: ev.Slot, id: ev.ID, n: ev.N})
	m.feed(fx)
}

// feed lets streams grow, first come first served, as far as the budget goes.
func (m *Machine) feed(fx *Effects) {
	l := m.line
	for len(l.queue) > 0 && m.admit(l.queue[0].n) {
		s := l.queue[0]
		l.queue = l.queue[1:]
		fx.Grow = append(fx.Grow, Grow{Slot: s.slot, ID: s.id, N: s.n})
		l.refused = time.Time{}
		m.relieve(fx) // the stream may be larger than was foreseen
	}
	switch {
	case len(l.queue) == 0:
		m.line = &nobody
	case m.othersWillReturn():
		l.refused = time.Time{}
	case l.refused.IsZero():
		l.refused, l.retry = m.now, m.now.Add(retryGrowth)
		m.want(l.retry, fx)
	}
}

// admit charges n octets of growth for a stream.
func (m *Machine) admit(n int) bool {
	g := m.growth
	return g == nil || g.Charge(n) || !m.othersWillReturn() && g.Insist(n)
}

// othersWillReturn says that streams of this connection hold growth that they
// need only for a while: more than may stay.
func (m *Machine) othersWillReturn() bool {
	g := m.growth
	return g.Used() > g.Limit()/2
}

// leaveLine forgets a stream that needs no growth any more.
func (m *Machine) leaveLine(id frame.StreamID) {
	for i, s := range m.line.queue {
		if s.id == id {
			m.line.queue = append(m.line.queue[:i:i], m.line.queue[i+1:]...)
			return
		}
	}
}

// awaitGrowth asks the process again, and gives up on the newest stream in line
// when it has refused for too long.
func (m *Machine) awaitGrowth(fx *Effects) (next time.Time) {
	l := m.line
	if l.refused.IsZero() || m.state.over() {
		return time.Time{}
	}
	if m.now.Before(l.retry) {
		return l.retry
	}
	m.feed(fx)
	if l = m.line; l.refused.IsZero() {
		return time.Time{}
	}
	if m.now.Sub(l.refused) >= growthPatience {
		m.evict(fx)
		if len(l.queue) == 0 {
			m.line = &nobody
			return time.Time{}
		}
	}
	l.retry = m.now.Add(retryGrowth)
	return l.retry
}

// evict fails the newest stream in line. What it holds is of no use to anybody.
func (m *Machine) evict(fx *Effects) {
	newest := m.line.queue[0]
	for _, s := range m.line.queue {
		if s.id > newest.id {
			newest = s
		}
	}
	sl := m.streams.at(newest.slot, newest.id)
	d := frame.NewData()
	d.StreamID = newest.id
	d.Fault = &frame.Fault{Kind: frame.NoBudget, Got: uint64(newest.n) + uint64(m.cfg.InitialWindow)}
	fx.Route = append(fx.Route, Route{Slot: newest.slot, ID: newest.id, Frame: d})
	m.abandon(sl, fx)
}
