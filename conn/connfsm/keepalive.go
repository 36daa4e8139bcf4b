package connfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// keepalive asks a silent peer for a sign of life and ends the connection if
// none comes. Anything the peer sends is one. A client without streams lets it
// be, unless it is told otherwise.
func (m *Machine) keepalive(fx *Effects) (next time.Time, breach *frame.ConnError) {
	k := &m.cfg.Keepalive
	if k.Time <= 0 || m.state != StateReady && m.state != StateDraining {
		return time.Time{}, nil
	}
	if m.wire.alive.seq != 0 && !m.heard {
		due := m.wire.alive.sent.Add(k.Timeout)
		if m.now.Before(due) {
			return due, nil
		}
		return time.Time{}, &frame.ConnError{
			Code: frame.NoError, Blame: frame.Remote,
			Reason: "keepalive: no answer to PING within " + k.Timeout.String(),
		}
	}
	if m.streams.live == 0 && !k.PermitWithoutStream {
		return time.Time{}, nil
	}
	due := m.lastRead.Add(k.Time)
	if m.now.Before(due) {
		return due, nil
	}
	m.wire.alive = m.sendPing(fx)
	m.heard = false
	return m.now.Add(k.Timeout), nil
}

// wakeKeepalive resumes it with the first stream after a pause. If the silence
// has lasted long enough the PING is due at once, so that the stream does not
// wait on a connection that died in the meantime.
func (m *Machine) wakeKeepalive(fx *Effects) {
	if m.cfg.Keepalive.Time > 0 && !m.cfg.Keepalive.PermitWithoutStream {
		m.want(m.lastRead.Add(m.cfg.Keepalive.Time), fx)
	}
}

// idleLimit drains a connection that has had no stream for too long.
func (m *Machine) idleLimit(fx *Effects) (next time.Time) {
	if m.cfg.MaxIdle <= 0 || m.state != StateReady || m.streams.live > 0 {
		return time.Time{}
	}
	due := m.idleSince.Add(m.cfg.MaxIdle)
	if m.now.Before(due) {
		return due
	}
	m.drainGently(frame.NoError, "max_idle", fx)
	return time.Time{}
}

func (m *Machine) wantIdle(fx *Effects) {
	if m.cfg.MaxIdle > 0 && m.state == StateReady {
		m.want(m.idleSince.Add(m.cfg.MaxIdle), fx)
	}
}

// ageLimit drains a connection that is too old, and closes it when the streams
// in flight have had their grace.
func (m *Machine) ageLimit(fx *Effects) (next time.Time) {
	switch {
	case m.maxAge <= 0:
		return time.Time{}
	case m.state == StateReady:
		due := m.started.Add(m.maxAge)
		if m.now.Before(due) {
			return due
		}
		m.drainGently(frame.NoError, "max_age", fx)
		m.ownDrain().aged = m.now
	}
	if m.state != StateDraining || m.cfg.AgeGrace <= 0 || m.drain.aged.IsZero() {
		return time.Time{}
	}
	due := m.drain.aged.Add(m.cfg.AgeGrace)
	if m.now.Before(due) {
		return due
	}
	m.end(frame.NoError, "max_age", nil, errorLinger, "max_age grace over", fx)
	return time.Time{}
}
