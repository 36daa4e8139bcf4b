package connfsm

import "github.com/callboard-rpc/callboard/codec/frame"

// receive takes one frame of the peer's. With a breach, the frame is still the
// machine's.
func (m *Machine) receive(f frame.Frame, fx *Effects) *frame.ConnError {
	switch m.state {
	case StateReady, StateDraining:
	case StateHandshake:
		// RFC 9113 3.4: both prefaces end in a SETTINGS frame, and nothing
		// precedes it.
		if s, ok := f.(*frame.Settings); !ok || s.Ack {
			return breach(frame.ProtocolError, "RFC 9113 3.4", "first frame is not SETTINGS")
		}
	case StateClosing, StateClosed:
		discard(f, fx)
		return nil
	case StateIdle:
		panic("connfsm: a frame before Start")
	}
	m.lastRead, m.heard = m.now, true
	switch f := f.(type) {
	case *frame.Data:
		return m.data(f, fx)
	case *frame.Headers:
		if m.cfg.Role == Server {
			return m.request(f, fx)
		}
		return m.response(f, fx)
	case *frame.WindowUpdate:
		return m.windowUpdate(f, fx)
	case *frame.RSTStream:
		return m.rstStream(f, fx)
	case *frame.Settings:
		return m.settings(f, fx)
	case *frame.Ping:
		return m.ping(f, fx)
	case *frame.GoAway:
		return m.goAwayFrame(f, fx)
	case *frame.Priority:
		return m.priority(f, fx)
	case *frame.PushPromise:
		return breach(frame.ProtocolError, "RFC 9113 6.6", "PUSH_PROMISE although push is disabled")
	case *frame.Malformed:
		return m.malformed(f, fx)
	case *frame.Unknown:
		return m.glitch(GlitchUnknown)
	case *frame.Glitch:
		return m.glitch(GlitchEmpty)
	default:
		panic("connfsm: a frame of ours came from the peer")
	}
}

// discard gives a frame back that goes nowhere.
func discard(f frame.Frame, fx *Effects) {
	switch f.(type) {
	case *frame.Data, *frame.Headers, *frame.RSTStream, *frame.WindowUpdate:
		fx.Free = append(fx.Free, f)
	}
}

// drop gives back a frame that was dealt with, unless it is about to end the
// connection: then Step does.
func drop(f frame.Frame, breach *frame.ConnError, fx *Effects) *frame.ConnError {
	if breach == nil {
		discard(f, fx)
	}
	return breach
}

// data charges DATA to the connection's window and passes it on.
func (m *Machine) data(f *frame.Data, fx *Effects) *frame.ConnError {
	s := m.streams.find(f.StreamID)
	if s == frame.NoSlot && m.fateOf(f.StreamID) == fateIdle {
		return idle("DATA", f.StreamID)
	}
	if err := m.recv.Charge(f.Size); err != nil {
		return breach(frame.FlowControlError, "RFC 9113 6.9.1", "%d octets of DATA overrun the connection window", f.Size)
	}
	if s == frame.NoSlot {
		return m.strayData(f, fx)
	}
	sl := &m.streams.slots[s]
	if sl.reset || sl.void {
		sl.ended = sl.ended || f.EndStream
		m.giveBack(f.Size, fx)
		if sl.reset {
			return drop(f, m.streamClosed(f.StreamID, fx), fx)
		}
		return drop(f, nil, fx)
	}
	if f.EndStream {
		sl.ended = true
	}
	fx.Route = append(fx.Route, Route{Slot: s, ID: f.StreamID, Frame: f})
	if f.Message != nil && !m.afford(sl, len(f.Message.B)+prefixLen) {
		// The message goes no further than its stream, whose RPC it ends.
		f.Fault = &frame.Fault{Kind: frame.NoBudget, Got: uint64(len(f.Message.B)), Limit: uint64(m.budget.Limit())}
		sl.held += f.Size
		m.abandon(sl, fx)
		return nil
	}
	m.hold(sl, f)
	m.relieve(fx)
	return nil
}

// strayData handles DATA of a stream that is closed. It counts towards the
// connection's window all the same (RFC 9113 5.1, 6.9).
func (m *Machine) strayData(f *frame.Data, fx *Effects) *frame.ConnError {
	m.giveBack(f.Size, fx)
	if fate := m.fateOf(f.StreamID); fate == fateEnded || fate == fateReset {
		return drop(f, m.streamClosed(f.StreamID, fx), fx)
	}
	return drop(f, nil, fx)
}

// streamClosed answers a frame that the peer sent after it had ended or reset
// the stream itself (RFC 9113 5.1).
func (m *Machine) streamClosed(id frame.StreamID, fx *Effects) *frame.ConnError {
	m.rst(id, frame.StreamClosed, fx)
	return m.glitch(GlitchSentReset)
}

// request handles HEADERS on a server.
func (m *Machine) request(f *frame.Headers, fx *Effects) *frame.ConnError {
	id := f.StreamID
	if s := m.streams.find(id); s != frame.NoSlot {
		return m.furtherHeaders(s, f, fx)
	}
	if id&1 == 0 {
		return breach(frame.ProtocolError, "RFC 9113 5.1.1", "a client opened stream %v", id)
	}
	if m.drain.final && id > m.drain.last {
		m.highest = max(m.highest, id)
		return drop(f, nil, fx)
	}
	if id <= m.highest {
		fate := m.streams.past.fate(id)
		if fate == fateForgotten {
			return breach(frame.ProtocolError, "RFC 9113 5.1.1", "stream %v opened after stream %v", id, m.highest)
		}
		return m.lateHeaders(fate, f, fx)
	}
	m.highest = id
	if m.full() {
		m.streams.past.remember(id, fateAbandoned)
		m.rst(id, frame.RefusedStream, fx)
		return drop(f, m.glitch(GlitchRefused), fx)
	}
	s := m.begin(id, fx)
	m.streams.slots[s].ended = f.EndStream
	fx.Route = append(fx.Route, Route{Slot: s, ID: id, Frame: f, New: true})
	return nil
}

// response handles HEADERS on a client.
func (m *Machine) response(f *frame.Headers, fx *Effects) *frame.ConnError {
	if s := m.streams.find(f.StreamID); s != frame.NoSlot {
		return m.furtherHeaders(s, f, fx)
	}
	fate := m.fateOf(f.StreamID)
	if fate == fateIdle {
		return idle("HEADERS", f.StreamID)
	}
	return m.lateHeaders(fate, f, fx)
}

// furtherHeaders handles HEADERS of a live stream. After END_STREAM they are a
// connection error, whether or not our side has closed the stream already: what
// the peer sees must not depend on that race.
func (m *Machine) furtherHeaders(s frame.SlotIndex, f *frame.Headers, fx *Effects) *frame.ConnError {
	sl := &m.streams.slots[s]
	switch {
	case sl.reset:
		return m.lateHeaders(fateReset, f, fx)
	case sl.ended:
		return m.lateHeaders(fateEnded, f, fx)
	case sl.void:
		return m.lateHeaders(fateAbandoned, f, fx)
	}
	sl.ended = f.EndStream
	fx.Route = append(fx.Route, Route{Slot: s, ID: f.StreamID, Frame: f})
	return nil
}

// lateHeaders handles HEADERS after a stream's end.
func (m *Machine) lateHeaders(how fate, f *frame.Headers, fx *Effects) *frame.ConnError {
	if how == fateEnded {
		return breach(frame.StreamClosed, "RFC 9113 5.1", "HEADERS on stream %v after END_STREAM", f.StreamID)
	}
	if how == fateReset {
		return drop(f, m.streamClosed(f.StreamID, fx), fx)
	}
	return drop(f, nil, fx)
}

// rstStream passes a reset on, once per stream. A client's resets are a glitch
// each: they make a server work for nothing. A server can reset only what we
// opened.
func (m *Machine) rstStream(f *frame.RSTStream, fx *Effects) *frame.ConnError {
	s := m.streams.find(f.StreamID)
	if s == frame.NoSlot {
		if m.fateOf(f.StreamID) == fateIdle {
			return idle("RST_STREAM", f.StreamID)
		}
		return drop(f, m.strayReset(f.Code), fx)
	}
	sl := &m.streams.slots[s]
	if sl.reset {
		return drop(f, m.glitch(GlitchGotReset), fx)
	}
	if m.cfg.Role == Server {
		if breach := m.glitch(GlitchGotReset); breach != nil {
			return breach
		}
	}
	sl.reset = true
	fx.Route = append(fx.Route, Route{Slot: s, ID: f.StreamID, Frame: f})
	m.abandon(sl, fx)
	return nil
}

// strayReset counts a reset that comes late. A server's NO_ERROR after its
// response is good manners (RFC 9113 8.1) and costs nothing.
func (m *Machine) strayReset(code frame.ErrCode) *frame.ConnError {
	if m.cfg.Role == Client && code == frame.NoError {
		return nil
	}
	return m.glitch(GlitchGotReset)
}

// priority checks the one rule there was about deprecated advice.
func (m *Machine) priority(f *frame.Priority, fx *Effects) *frame.ConnError {
	if f.DependsOn == f.StreamID {
		return m.malformed(&frame.Malformed{Err: &frame.StreamError{
			StreamID: f.StreamID, Code: frame.ProtocolError, Blame: frame.Remote,
			Reason: "PRIORITY on itself", Clause: "RFC 7540 5.3.1",
		}}, fx)
	}
	return m.glitch(GlitchPriority)
}

// malformed fails the stream concerned. A stream that is idle cannot be reset
// (RFC 9113 6.4): its defect is the connection's.
func (m *Machine) malformed(f *frame.Malformed, fx *Effects) *frame.ConnError {
	id := f.Err.StreamID
	if s := m.streams.find(id); s != frame.NoSlot {
		if sl := &m.streams.slots[s]; !sl.reset && !sl.void {
			m.abandon(sl, fx)
			fx.Failed = append(fx.Failed, Failed{Slot: s, ID: id, Err: f.Err})
			return nil // counted when the stream says Reset
		}
		return m.glitch(GlitchSentReset)
	}
	if m.fateOf(id) == fateIdle {
		return &frame.ConnError{Code: f.Err.Code, Blame: frame.Remote, Reason: f.Err.Reason, Clause: f.Err.Clause}
	}
	m.rst(id, f.Err.Code, fx)
	return m.glitch(GlitchSentReset)
}

// rst resets a stream that has no actor to do it.
func (m *Machine) rst(id frame.StreamID, code frame.ErrCode, fx *Effects) {
	fx.Control = append(fx.Control, frame.NewRSTStream(id, code))
}
