package connfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// want asks for a Tick at t unless one comes earlier anyway. Deadlines that
// move away are not chased: the Tick finds nothing due and asks again, so that
// no frame ever moves a timer.
func (m *Machine) want(t time.Time, fx *Effects) {
	if t.IsZero() || !m.armed.IsZero() && !t.Before(m.armed) {
		return
	}
	m.armed = t
	fx.Timer = t
}

// tick does what is due and asks for the next Tick.
func (m *Machine) tick(fx *Effects) *frame.ConnError {
	m.armed = time.Time{}
	return m.rearm(fx)
}

// rearm looks at every deadline.
func (m *Machine) rearm(fx *Effects) *frame.ConnError {
	if m.state == StateIdle {
		return nil
	}
	handshake, breach := m.awaitHandshake()
	if breach != nil {
		return breach
	}
	ack, breach := m.awaitAck()
	if breach != nil {
		return breach
	}
	alive, breach := m.keepalive(fx)
	if breach != nil {
		return breach
	}
	idle := m.idleLimit(fx)
	age := m.ageLimit(fx)
	drain := m.drainLimit(fx)
	growth := m.awaitGrowth(fx)
	if m.state.over() {
		return nil
	}
	for _, t := range [...]time.Time{handshake, ack, alive, idle, age, drain, growth} {
		m.want(t, fx)
	}
	return nil
}
