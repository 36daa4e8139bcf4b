package connfsm

import (
	"math"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// local is what became of our own SETTINGS.
type local struct {
	sent  time.Time
	acked bool
}

// peerSettings is what the peer announced, or the defaults of RFC 9113 6.5.2.
type peerSettings struct {
	PeerSettings
	maxStreams uint32
	frames     uint64 // how many SETTINGS it sent
}

func defaultPeerSettings() peerSettings {
	return peerSettings{
		PeerSettings: PeerSettings{
			MaxFrameSize:    frame.MinMaxFrameSize,
			InitialWindow:   frame.DefaultWindow,
			HeaderTableSize: frame.DefaultTableSize,
			LeastTableSize:  frame.DefaultTableSize,
		},
		maxStreams: math.MaxUint32,
	}
}

// announce sends our SETTINGS.
func (m *Machine) announce(fx *Effects) {
	m.local = local{sent: m.now}
	fx.Control = append(fx.Control, &frame.Settings{Values: m.announced()})
}

// announced is what of our settings differs from RFC 9113's defaults.
func (m *Machine) announced() []frame.Setting {
	c := m.cfg
	var v []frame.Setting
	add := func(id frame.SettingID, val, normal uint32) {
		if val != normal {
			v = append(v, frame.Setting{ID: id, Val: val})
		}
	}
	add(frame.SettingHeaderTableSize, c.HeaderTableSize, frame.DefaultTableSize)
	if c.Role == Client {
		add(frame.SettingEnablePush, 0, 1)
	} else {
		add(frame.SettingMaxConcurrentStreams, c.MaxConcurrentStreams, math.MaxUint32)
	}
	add(frame.SettingInitialWindowSize, c.InitialWindow, frame.DefaultWindow)
	add(frame.SettingMaxFrameSize, c.MaxFrameSize, frame.MinMaxFrameSize)
	add(frame.SettingMaxHeaderListSize, c.MaxHeaderListSize, math.MaxUint32)
	return v
}

// settings checks and applies the peer's SETTINGS, all of it or, with a breach,
// nothing.
func (m *Machine) settings(f *frame.Settings, fx *Effects) *frame.ConnError {
	if f.Ack {
		if m.local.acked {
			return m.glitch(GlitchSettings)
		}
		m.local.acked = true
		return nil
	}
	first := m.state == StateHandshake
	if !first {
		if breach := m.glitch(GlitchSettings); breach != nil {
			return breach
		}
	}
	p := m.peer
	for _, s := range f.Values {
		if breach := p.apply(s, m.cfg.Role); breach != nil {
			return breach
		}
	}
	p.frames++
	if first || p.PeerSettings != m.peer.PeerSettings {
		changed := p.PeerSettings
		fx.Peer = &changed
	}
	m.peer = p
	m.peer.LeastTableSize = p.HeaderTableSize
	fx.Control = append(fx.Control, &frame.Settings{Ack: true})
	if first {
		m.become(StateReady, "SETTINGS", fx)
		fx.Reports = append(fx.Reports, Ready)
		if breach := m.rearm(fx); breach != nil {
			return breach
		}
	}
	m.unpark(fx)
	return nil
}

// apply takes one setting (RFC 9113 6.5.2); those it does not know are ignored.
func (p *peerSettings) apply(s frame.Setting, we Role) *frame.ConnError {
	switch s.ID {
	case frame.SettingHeaderTableSize:
		p.HeaderTableSize = s.Val
		p.LeastTableSize = min(p.LeastTableSize, s.Val)
	case frame.SettingEnablePush:
		if s.Val > 1 || s.Val == 1 && we == Client {
			return breach(frame.ProtocolError, "RFC 9113 6.5.2", "ENABLE_PUSH of %d", s.Val)
		}
	case frame.SettingMaxConcurrentStreams:
		p.maxStreams = s.Val
	case frame.SettingInitialWindowSize:
		if s.Val > frame.MaxWindow {
			return breach(frame.FlowControlError, "RFC 9113 6.5.2", "INITIAL_WINDOW_SIZE of %d", s.Val)
		}
		p.InitialWindow = s.Val
	case frame.SettingMaxFrameSize:
		if s.Val < frame.MinMaxFrameSize || s.Val > frame.LimitMaxFrameSize {
			return breach(frame.ProtocolError, "RFC 9113 6.5.2", "MAX_FRAME_SIZE of %d", s.Val)
		}
		p.MaxFrameSize = s.Val
	case frame.SettingMaxHeaderListSize:
		p.MaxHeaderListSize = s.Val
	}
	return nil
}

// awaitHandshake ends a connection whose peer does not speak.
func (m *Machine) awaitHandshake() (next time.Time, breach *frame.ConnError) {
	if m.state != StateHandshake || m.cfg.HandshakeTimeout < 0 {
		return time.Time{}, nil
	}
	due := m.since.Add(m.cfg.HandshakeTimeout)
	if m.now.Before(due) {
		return due, nil
	}
	return time.Time{}, &frame.ConnError{Code: frame.ProtocolError, Blame: frame.Remote, Reason: "no SETTINGS within " + m.cfg.HandshakeTimeout.String()}
}

// awaitAck ends a connection whose peer does not acknowledge our SETTINGS
// (RFC 9113 6.5.3). The handshake's time is up no later.
func (m *Machine) awaitAck() (next time.Time, breach *frame.ConnError) {
	if m.local.acked || m.state == StateHandshake || m.cfg.SettingsTimeout < 0 {
		return time.Time{}, nil
	}
	due := m.local.sent.Add(m.cfg.SettingsTimeout)
	if m.now.Before(due) {
		return due, nil
	}
	return time.Time{}, &frame.ConnError{
		Code: frame.SettingsTimeout, Blame: frame.Remote, Clause: "RFC 9113 6.5.3",
		Reason: "SETTINGS not acknowledged within " + m.cfg.SettingsTimeout.String(),
	}
}
