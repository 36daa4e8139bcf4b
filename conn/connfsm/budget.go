package connfsm

import "github.com/callboard-rpc/callboard/internal/flow"

// lump is in what portions the budget is charged for messages that wait to be
// read. Every connection has one portion for nothing: traffic of small messages
// never touches the budget, and goes on when others have used it up.
const lump = 64 << 10

// Budget is the Config's.
func (m *Machine) Budget() *flow.Budget { return m.budget }

// Growth is the Config's.
func (m *Machine) Growth() *flow.Budget { return m.growth }

// afford charges the budget for a message of n octets that will wait to be
// read. A message always fits a connection that holds no other.
func (m *Machine) afford(sl *slot, n int) bool {
	initial := int(m.cfg.InitialWindow)
	more := m.bare + m.owed + min(sl.readable+n, initial) - min(sl.readable, initial) - lump - m.charged
	b := m.budget
	if b == nil || more <= 0 {
		return true
	}
	more = (more + lump - 1) / lump * lump
	if !b.Charge(more) {
		if m.unread() > 0 {
			return false
		}
		b.Force(more)
	}
	m.charged += more
	return true
}

// unread is how much of whole messages waits for applications to read it.
func (m *Machine) unread() int { return m.readable + m.owed }

// repay gives back what the budget is charged with beyond what is held, not for
// every little bit of it.
func (m *Machine) repay() {
	if m.charged == 0 {
		return
	}
	held := m.bare + m.owed
	spare := (m.charged - max(0, held-lump)) / lump * lump
	if spare >= 2*lump || held <= lump {
		m.refund(spare)
	}
}

func (m *Machine) refund(n int) {
	if n > 0 {
		m.charged -= n
		m.budget.Refund(n)
	}
}

// Leave gives the budget back what is still charged: for messages that nobody
// will read. The machine is not stepped any more.
func (m *Machine) Leave() { m.refund(m.charged) }
