package connfsm

import (
	"encoding/binary"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// pings is what is known of PINGs both ways, and of what we wrote in between.
type pings struct {
	seq     uint32  // numbers our PINGs
	alive   pending // the keepalive PING under way
	rtt     time.Duration
	last    time.Time // the peer's latest PING
	strikes int       // PINGs that came too soon
	wrote   bool      // DATA or HEADERS went out since the peer's latest PING
	updates int       // WINDOW_UPDATEs our DATA has entitled the peer to
}

// pending is a PING of ours that was not acknowledged yet.
type pending struct {
	seq  uint32 // 0: none
	sent time.Time
}

const (
	maxStrikes     = 2       // PINGs too many before a client is sent away (gRFC A8)
	updatesPerData = 2       // WINDOW_UPDATEs for each DATA frame we wrote: its stream's and the connection's
	maxUpdates     = 1 << 16 // that may be saved up
	tooManyPings   = "too_many_pings"
)

// sendPing writes a PING with a payload of our own.
func (m *Machine) sendPing(fx *Effects) pending {
	m.wire.seq++
	p := &frame.Ping{}
	copy(p.Data[:], "cbrd")
	binary.BigEndian.PutUint32(p.Data[4:], m.wire.seq)
	fx.Control = append(fx.Control, p)
	return pending{seq: m.wire.seq, sent: m.now}
}

// ping answers a PING (RFC 9113 6.7), or takes the answer to one of ours.
func (m *Machine) ping(f *frame.Ping, fx *Effects) *frame.ConnError {
	if f.Ack {
		return m.pingAck(f, fx)
	}
	fx.Control = append(fx.Control, &frame.Ping{Ack: true, Data: f.Data})
	earned := m.wire.wrote
	m.wire.wrote = false
	last := m.wire.last
	m.wire.last = m.now
	if earned {
		// A peer that measures its bandwidth pings as data comes in.
		m.wire.strikes = 0
		return nil
	}
	if m.tooSoon(last) {
		m.wire.strikes++
		if m.wire.strikes > maxStrikes {
			return &frame.ConnError{Code: frame.EnhanceYourCalm, Blame: frame.Remote, Reason: tooManyPings}
		}
	}
	return m.glitch(GlitchPing)
}

// tooSoon is the enforcement policy of gRFC A8.
func (m *Machine) tooSoon(last time.Time) bool {
	e := &m.cfg.Enforcement
	if m.cfg.Role == Client || e.MinTime < 0 || last.IsZero() {
		return false
	}
	pause := e.MinTime
	if m.streams.live == 0 && !e.PermitWithoutStream {
		pause = max(pause, defaultPingTime)
	}
	return m.now.Sub(last) < pause
}

func (m *Machine) pingAck(f *frame.Ping, fx *Effects) *frame.ConnError {
	seq := binary.BigEndian.Uint32(f.Data[4:])
	if string(f.Data[:4]) != "cbrd" || seq == 0 {
		return m.glitch(GlitchPing)
	}
	switch seq {
	case m.wire.alive.seq:
		m.wire.rtt = m.now.Sub(m.wire.alive.sent)
		m.wire.alive = pending{}
	case m.drain.ping.seq:
		m.wire.rtt = m.now.Sub(m.drain.ping.sent)
		m.lastGoAway(fx)
	default:
		return m.glitch(GlitchPing)
	}
	return nil
}

// wrote notes what went out, because what the peer may send depends on it.
func (m *Machine) wrote(ev *Wrote) {
	if ev.DataFrames > 0 || ev.Headers > 0 {
		m.wire.wrote = true
	}
	m.wire.updates = min(m.wire.updates+updatesPerData*ev.DataFrames, maxUpdates)
}
