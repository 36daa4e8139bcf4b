package connfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// drain is how far our own gentle end has come.
type drain struct {
	ping   pending // between a server's two GOAWAYs
	code   frame.ErrCode
	reason string
	begun  time.Time      // server: when the first GOAWAY went out
	final  bool           // server: the second went out too, no stream is taken any more
	last   frame.StreamID // with final: the highest stream taken
	aged   time.Time      // when MaxAge was over
}

// undrained is the drain of all connections that nobody has drained.
var undrained drain

// ownDrain is m.drain, to be written to.
func (m *Machine) ownDrain() *drain {
	if m.drain == &undrained {
		m.drain = new(drain)
	}
	return m.drain
}

// drainGently ends the connection without hurting a stream.
func (m *Machine) drainGently(code frame.ErrCode, reason string, fx *Effects) {
	switch m.state {
	case StateIdle, StateHandshake:
		// Nobody has a stream yet; what crosses the GOAWAY can be sent elsewhere.
		m.end(code, reason, nil, drainLinger, "drain", fx)
	case StateReady:
		m.drain = &drain{code: code, reason: reason, begun: m.now}
		if m.cfg.Role == Client {
			m.stopOpening("drain", fx)
			m.finishDrain(fx)
			return
		}
		m.sendGoAway(frame.MaxStreamID, frame.NoError, reason, fx)
		m.drain.ping = m.sendPing(fx)
		m.stopOpening("drain", fx)
		m.want(m.now.Add(m.cfg.DrainTimeout), fx)
	case StateDraining, StateClosing, StateClosed:
	}
}

// stopOpening enters draining: no stream begins any more on our side.
func (m *Machine) stopOpening(on string, fx *Effects) {
	m.become(StateDraining, on, fx)
	fx.Reports = append(fx.Reports, Draining)
	m.refuseParked(fx)
}

// lastGoAway is a server's second GOAWAY: every stream that crossed the first
// one has been seen.
func (m *Machine) lastGoAway(fx *Effects) {
	d := m.ownDrain()
	d.ping = pending{}
	if m.state != StateDraining || d.final {
		return
	}
	d.final, d.last = true, m.highest
	m.sendGoAway(m.highest, m.drain.code, m.drain.reason, fx)
	m.finishDrain(fx)
}

// drainLimit does not wait forever for the PING between the two GOAWAYs.
func (m *Machine) drainLimit(fx *Effects) (next time.Time) {
	if m.state != StateDraining || m.drain.ping.seq == 0 {
		return time.Time{}
	}
	due := m.drain.begun.Add(m.cfg.DrainTimeout)
	if m.now.Before(due) {
		return due
	}
	m.lastGoAway(fx)
	return time.Time{}
}

// finishDrain closes a drained connection once its last stream has ended.
func (m *Machine) finishDrain(fx *Effects) {
	if m.streams.live > 0 || m.cfg.Role == Server && !m.drain.final {
		return
	}
	if m.cfg.Role == Client {
		m.sendGoAway(0, m.drain.code, m.drain.reason, fx)
	}
	m.shut(nil, drainLinger, "drained", fx)
}

func (m *Machine) sendGoAway(last frame.StreamID, code frame.ErrCode, reason string, fx *Effects) {
	g := &frame.GoAway{LastStreamID: last, Code: code}
	if reason != "" {
		g.Debug = []byte(reason[:min(len(reason), frame.MaxDebugData)])
	}
	fx.Control = append(fx.Control, g)
}
