package streamfsm

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// rst takes the peer's RST_STREAM. It is never answered (RFC 9113 5.4.2).
func (m *Machine) rst(r *frame.RSTStream, now time.Time, fx *Effects) {
	code := r.Code
	stale := m.stale(r.StreamID, r)
	r.Free()
	if stale {
		return
	}
	m.peerSilent = true
	fx.Drop = true // also of a closed stream: its end may still wait for window
	if m.state == StateClosed {
		return
	}
	m.become(StateClosed, "RSTStream", fx)
	m.end(m.resetOutcome(code, now), fx)
}

// cancel ends the RPC because our side gave up. A server's stream lives on
// until its handler, which is told, has returned.
func (m *Machine) cancel(ev *Cancel, fx *Effects) {
	if m.application(ev.StreamID, ev) || m.state == StateClosed || m.told {
		return
	}
	o := Outcome{Status: status.New(ev.Code, ev.Message)}
	if m.cfg.Role == Client {
		m.reset(frame.Cancel, "Cancel", fx)
		m.end(o, fx)
		return
	}
	m.turnAway(o, fx)
}

// fail ends the stream for a reason found above it. If that is the peer's fault
// it is returned, to be counted like those found here.
func (m *Machine) fail(ev *Fail, fx *Effects) error {
	switch {
	case m.stale(ev.Err.StreamID, ev):
		return nil
	case m.state == StateClosed:
		// Nothing is left to abort here, but the peer is owed its answer, and what
		// waits to be written shall wait no longer.
		fx.Drop = true
		fx.Control = append(fx.Control, frame.NewRSTStream(m.id, ev.Err.Code))
	default:
		m.abort(ev.Err, "Fail", fx)
	}
	if ev.Err.Blame != frame.Remote {
		return nil
	}
	return ev.Err
}

// lost ends the stream because its connection does not serve it any more.
func (m *Machine) lost(ev *Lost, fx *Effects) {
	if m.stale(ev.StreamID, ev) || m.state == StateClosed {
		return
	}
	fx.Drop = true
	m.become(StateClosed, "Lost", fx)
	m.end(Outcome{
		Status:      status.New(ev.Code, ev.Message),
		Unprocessed: ev.Unprocessed && !m.answered(),
	}, fx)
}

// rejected ends the stream because a header block of ours cannot be written.
func (m *Machine) rejected(ev *Rejected, fx *Effects) {
	if m.stale(ev.StreamID, ev) || m.state == StateClosed {
		return
	}
	m.become(StateClosed, "Rejected", fx)
	m.end(Outcome{Status: status.New(codes.Internal, ev.Reason)}, fx)
}

// violated resets the stream because the peer broke a rule.
func (m *Machine) violated(code frame.ErrCode, reason, clause, on string, fx *Effects) error {
	err := &frame.StreamError{StreamID: m.id, Code: code, Blame: frame.Remote, Reason: reason, Clause: clause}
	m.abort(err, on, fx)
	return err
}

// abort resets the stream; the RPC's status follows from err.
func (m *Machine) abort(err *frame.StreamError, on string, fx *Effects) {
	m.reset(err.Code, on, fx)
	m.end(Outcome{Status: failureStatus(err)}, fx)
}

// late judges HEADERS or DATA of a closed stream: a race if we have closed it,
// a breach if the peer had said that nothing follows. A closed stream cannot
// be reset, so the breach is the connection's.
func (m *Machine) late(what string, endStream bool) error {
	if m.peerSilent {
		return &frame.ConnError{
			Code: frame.StreamClosed, Blame: frame.Remote, Clause: "RFC 9113 5.1",
			Reason: what + " on closed stream " + m.id.String(),
		}
	}
	m.peerSilent = endStream
	return nil
}

// end is what follows when the stream is closed and o is why. A client's RPC
// is over with that. A server's waits for its handler to finish; the RPC that
// has none is over, too.
func (m *Machine) end(o Outcome, fx *Effects) {
	switch {
	case m.cfg.Role == Client:
		m.tell(o, fx)
		m.leave(fx)
	case m.accepted:
		m.turnAway(o, fx)
	default:
		if len(fx.Out) == 0 {
			m.emit(fx)
		}
		fx.Out[len(fx.Out)-1].Last = true
		m.leave(fx)
	}
}

// turnAway tells a handler that its RPC has ended. It gets no more messages;
// those it has it may still read.
func (m *Machine) turnAway(o Outcome, fx *Effects) {
	if !m.told {
		m.tell(o, fx)
	}
	m.deaf = true
	m.giveBack(m.rx.Held()-m.unread, fx)
	m.grant(fx)
}

// tell reports the RPC's end to the application, once.
func (m *Machine) tell(o Outcome, fx *Effects) {
	m.told = true
	o.Code = o.Status.Code()
	m.outcome = o
	fx.Outcome = &m.outcome
}

// leave is the end of the machine's part in the RPC. A server's application
// has released what it did not read; a client's may read it yet.
func (m *Machine) leave(fx *Effects) {
	if m.cfg.Role == Server || m.unary {
		m.unread = 0
	}
	m.giveBack(m.rx.Held()-m.unread, fx)
	m.update = 0
	fx.Owed = m.unread
	fx.Done = true
	m.done = true
}

// answered says that a client has seen something of the response.
func (m *Machine) answered() bool { return m.gotHead || m.foreign != nil }
