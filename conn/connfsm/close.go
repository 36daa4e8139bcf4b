package connfsm

import (
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// fail ends the connection because of a breach. It returns the breach for Step.
func (m *Machine) fail(breach *frame.ConnError, fx *Effects) error {
	m.end(breach.Code, breach.Reason, breach, errorLinger, breach.Code.String(), fx)
	return breach
}

// closeNow ends the connection on our side's wish.
func (m *Machine) closeNow(ev *Close, fx *Effects) {
	if m.state.over() {
		return
	}
	if ev.Reason != "" {
		m.ownDrain().reason = ev.Reason
	}
	m.end(ev.Code, ev.Reason, ev.Err, errorLinger, "close", fx)
}

// end says GOAWAY and closes.
func (m *Machine) end(code frame.ErrCode, reason string, err error, linger time.Duration, on string, fx *Effects) {
	if m.state != StateIdle {
		last := m.highest
		if m.drain.final {
			last = m.drain.last // never raised (RFC 9113 6.8)
		}
		m.sendGoAway(last, code, reason, fx)
	}
	m.shut(err, linger, on, fx)
}

// transportDown ends the connection whose socket has ended, unless it is a
// breach that ended it: then the peer is told first.
func (m *Machine) transportDown(err error, fx *Effects) *frame.ConnError {
	switch m.state {
	case StateClosed:
	case StateClosing:
		m.become(StateClosed, "transport down", fx)
	default:
		if breach := (*frame.ConnError)(nil); errors.As(err, &breach) {
			return breach
		}
		m.shut(err, 0, "transport down", fx)
		m.become(StateClosed, "transport down", fx)
	}
	return nil
}

// shut closes: whoever depends on the connection is told, once.
func (m *Machine) shut(err error, linger time.Duration, on string, fx *Effects) {
	m.become(StateClosing, on, fx)
	m.refuseParked(fx)
	m.line = &nobody
	why := m.whyLost(err)
	for i := range m.streams.slots {
		sl := &m.streams.slots[i]
		if sl.id == 0 || sl.gone {
			continue
		}
		sl.gone = true
		fx.Gone = append(fx.Gone, Gone{Slot: frame.SlotIndex(i), ID: sl.id, Code: codes.Unavailable, Message: why})
	}
	fx.Reports = append(fx.Reports, Down)
	fx.Closing = &Closing{Err: err, Linger: linger}
}

// whyLost is what a stream's status says about the loss of its connection. What
// the peer announced explains more than the end of the socket that follows.
func (m *Machine) whyLost(err error) string {
	switch {
	case m.goAway != nil && err != nil:
		return "connection lost after " + m.peerSaid() + ": " + err.Error()
	case err != nil:
		return "connection lost: " + err.Error()
	case m.drain.reason != "":
		return "connection closed: " + m.drain.reason
	default:
		return "connection closed"
	}
}

// whyNot is why no stream can be opened.
func (m *Machine) whyNot() string {
	switch {
	case m.goAway != nil:
		return "connection drains: " + m.peerSaid()
	case m.state.over():
		return "connection closed"
	case m.next > m.cfg.LastID:
		return "connection drains: stream ids used up"
	case m.state == StateReady:
		return "all streams are in use"
	case m.drain.reason != "":
		return "connection drains: " + m.drain.reason
	default:
		return "connection drains"
	}
}
