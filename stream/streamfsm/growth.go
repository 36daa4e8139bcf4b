package streamfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// A stream's window begins small, so that the beginnings of messages on very
// many streams are little memory. It is made larger for a message that does not
// fit, by all that the message lacks, so that the message pays one round trip
// and not many; and for an application that reads as fast as its peer may send.
// What it is larger than in the beginning is charged to the connection's budget
// for growth. When the budget refuses, the peer waits: that is what a window is
// for.

// mostKept is how large a window stays when no message needs it.
const mostKept = 4 << 20

// A window that was read within quickly was too small to tell how fast the peer
// is. That many messages in it show that it did not serve a single one.
const (
	quickly  = time.Second
	severals = 8
)

// pace is how fast the application reads.
type pace struct {
	octets int       // read since
	since  time.Time // zero: at the beginning of the RPC
	in     int       // messages received by then
}

// grow makes the window large enough for the message that has begun. If that is
// refused, the stream starves until a Grow arrives.
func (m *Machine) grow(fx *Effects) {
	need := m.pending
	if m.unary {
		need += PrefixLen // so that a message too many shows
	}
	if m.cfg.MaxMessage > 0 {
		need = min(need, PrefixLen+m.cfg.MaxMessage)
	}
	if m.rx.Available() >= need {
		return
	}
	size := min(m.rx.Held()+need, flow.MaxWindow)
	if lacks := m.lacks(size); lacks > 0 && !m.starved {
		switch {
		case m.charge(lacks):
			m.growth += lacks
		case m.pending == 0:
			return
		default:
			// It waits for all of it: what it holds unused is returned with this
			// step, so that no two wait for each other's part.
			m.starved = true
			fx.Starved = size - max(m.rx.Held()+m.rx.Available(), m.rx.Size(), int(m.cfg.InitialWindow))
		}
	}
	if m.starved {
		size = 0
	}
	m.update += m.rx.Grow(max(size-m.rx.Size(), 0))
}

// granted takes what the connection has charged for a stream that starved. What
// the stream does not need any more goes back with this very step.
func (m *Machine) granted(ev *Grow, fx *Effects) {
	if m.stale(ev.StreamID, ev) {
		m.refund(ev.N, fx)
		return
	}
	m.starved = false
	m.growth += ev.N
	m.grant(fx)
}

// adapt fits the window to what the application, which has just read n octets,
// makes of it. It comes before the octets are given back: what a window is too
// large by can only be withheld.
func (m *Machine) adapt(n int, now time.Time) {
	if !m.receiving() || m.deaf {
		return
	}
	if over := m.rx.Size() - m.keep(); over > 0 && m.pending == 0 && m.hungry() {
		m.rx.Shrink(over)
		m.pace = pace{since: now, in: m.in}
		return
	}
	m.pace.octets += n
	if m.pace.octets < m.rx.Size() {
		return
	}
	// A ping-pong of large messages has one in its window, and none on the way.
	stream := m.pending > 0 || m.in-m.pace.in >= severals
	if stream && !m.pace.since.IsZero() && now.Sub(m.pace.since) <= quickly {
		m.widen()
	}
	m.pace = pace{since: now, in: m.in}
}

// keep is how large the window may stay between messages.
func (m *Machine) keep() int {
	if m.tight() {
		return int(m.cfg.InitialWindow)
	}
	return max(mostKept, int(m.cfg.InitialWindow))
}

// widen doubles the window while that is nobody's loss.
func (m *Machine) widen() {
	size := min(2*m.rx.Size(), m.keep())
	if size <= m.rx.Size() {
		return
	}
	if lacks := m.lacks(size); lacks > 0 {
		if !m.charge(lacks) {
			return
		}
		m.growth += lacks
	}
	m.update += m.rx.Grow(size - m.rx.Size())
}

// lacks is how much a window of size octets has still to be charged.
func (m *Machine) lacks(size int) int { return size - int(m.cfg.InitialWindow) - m.growth }

func (m *Machine) charge(n int) bool { return m.cfg.Growth == nil || m.cfg.Growth.Charge(n) }

func (m *Machine) tight() bool { return m.cfg.Growth != nil && m.cfg.Growth.Tight() }

// refund gives n octets of growth back.
func (m *Machine) refund(n int, fx *Effects) {
	if n > 0 && m.cfg.Growth != nil {
		m.cfg.Growth.Refund(n)
	}
	fx.Returned = fx.Returned || n > 0
}

// trim gives back the growth that is not in use any more: the peer may not send
// it, and the application does not hold it.
func (m *Machine) trim(fx *Effects) {
	used := 0
	if !m.done {
		used = m.rx.Held()
		switch {
		case !m.receiving():
		case m.deaf:
			used += m.rx.Available()
		default:
			used = max(used+m.rx.Available(), m.rx.Size())
		}
		used = max(used-int(m.cfg.InitialWindow), 0)
	}
	if used < m.growth {
		m.refund(m.growth-used, fx)
		m.growth = used
	}
}

// Abandon gives back what the window has grown by, for an actor that will not
// step the machine any more.
func (m *Machine) Abandon() {
	m.refund(m.growth, &Effects{})
	m.growth = 0
}

// windowUpdate tells the peer what the step has made due.
func (m *Machine) windowUpdate(fx *Effects) {
	if m.update > 0 {
		fx.Control = append(fx.Control, frame.NewWindowUpdate(m.id, m.slot, uint32(m.update)))
		m.update = 0
	}
}
