package connfsm

import (
	"testing"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func TestSettingsAnnounced(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want []frame.Setting
	}{
		{"client", Config{Role: Client}, []frame.Setting{{ID: frame.SettingEnablePush}, {ID: frame.SettingMaxHeaderListSize, Val: 16 << 10}}},
		{"server", Config{Role: Server, InitialWindow: 1 << 20, MaxFrameSize: 1 << 15, HeaderTableSize: 8192, MaxHeaderListSize: 9000, MaxConcurrentStreams: 7}, []frame.Setting{
			{ID: frame.SettingHeaderTableSize, Val: 8192},
			{ID: frame.SettingMaxConcurrentStreams, Val: 7},
			{ID: frame.SettingInitialWindowSize, Val: 1 << 20},
			{ID: frame.SettingMaxFrameSize, Val: 1 << 15},
			{ID: frame.SettingMaxHeaderListSize, Val: 9000},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := rawBench(t, c.cfg)
			fx := b.step(&Start{})
			b.diff("control", fx.Control[0], frame.Control(&frame.Settings{Values: c.want}))
		})
	}
}

func TestSettingsReceived(t *testing.T) {
	const ok = frame.ErrCode(99)
	for _, c := range []struct {
		name string
		role Role
		s    frame.Setting
		want frame.ErrCode
	}{
		{"ENABLE_PUSH 0 to a client", Client, frame.Setting{ID: frame.SettingEnablePush, Val: 0}, ok},
		{"ENABLE_PUSH 1 to a client", Client, frame.Setting{ID: frame.SettingEnablePush, Val: 1}, frame.ProtocolError},
		{"ENABLE_PUSH 1 to a server", Server, frame.Setting{ID: frame.SettingEnablePush, Val: 1}, ok},
		{"ENABLE_PUSH 2", Server, frame.Setting{ID: frame.SettingEnablePush, Val: 2}, frame.ProtocolError},
		{"INITIAL_WINDOW_SIZE at its limit", Server, frame.Setting{ID: frame.SettingInitialWindowSize, Val: 1<<31 - 1}, ok},
		{"INITIAL_WINDOW_SIZE above", Server, frame.Setting{ID: frame.SettingInitialWindowSize, Val: 1 << 31}, frame.FlowControlError},
		{"MAX_FRAME_SIZE at its lower limit", Server, frame.Setting{ID: frame.SettingMaxFrameSize, Val: 1 << 14}, ok},
		{"MAX_FRAME_SIZE below", Server, frame.Setting{ID: frame.SettingMaxFrameSize, Val: 1<<14 - 1}, frame.ProtocolError},
		{"MAX_FRAME_SIZE at its upper limit", Server, frame.Setting{ID: frame.SettingMaxFrameSize, Val: 1<<24 - 1}, ok},
		{"MAX_FRAME_SIZE above", Server, frame.Setting{ID: frame.SettingMaxFrameSize, Val: 1 << 24}, frame.ProtocolError},
		{"unknown", Server, frame.Setting{ID: 0x99, Val: 1}, ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := rawBench(t, Config{Role: c.role})
			b.step(&Start{})
			fx := b.step(&frame.Settings{Values: []frame.Setting{c.s}})
			if c.want != ok {
				b.diff("code", b.code(), c.want)
				return
			}
			b.diff("ack", fx.Control[0], frame.Control(&frame.Settings{Ack: true}))
			b.diff("state", b.m.State(), StateReady)
		})
	}
}

func TestSettingsReachLoopyBeforeTheirAck(t *testing.T) {
	b := rawBench(t, Config{Role: Server})
	b.step(&Start{})
	fx := b.step(&frame.Settings{Values: []frame.Setting{
		{ID: frame.SettingInitialWindowSize, Val: 1},
		{ID: frame.SettingInitialWindowSize, Val: 2},
		{ID: frame.SettingHeaderTableSize, Val: 0},
		{ID: frame.SettingMaxHeaderListSize, Val: 8000},
	}})
	b.diff("peer", fx.Peer, &PeerSettings{MaxFrameSize: 16384, InitialWindow: 2, MaxHeaderListSize: 8000})
	b.diff("reports", fx.Reports, []Report{Ready})
	fx = b.step(setting(frame.SettingInitialWindowSize, 2))
	b.diff("no change", fx.Peer, (*PeerSettings)(nil))
	b.diff("acked all the same", len(fx.Control), 1)
	b.diff("reports", len(fx.Reports), 0)
}

func TestHandshakeDeadline(t *testing.T) {
	b := rawBench(t, Config{Role: Server})
	b.now = epoch.Add(3 * time.Second)
	b.step(&Start{Since: epoch})
	b.diff("closing", b.pass(7*time.Second-1).Closing, (*Closing)(nil))
	b.pass(1)
	b.diff("state", b.m.State(), StateClosing)

	b = rawBench(t, Config{Role: Server})
	b.now = epoch.Add(time.Minute)
	b.step(&Start{Since: epoch})
	b.diff("state", b.m.State(), StateClosing)
}

func TestSettingsTimeout(t *testing.T) {
	b := rawBench(t, Config{Role: Client})
	b.step(&Start{})
	b.pass(5 * time.Second)
	b.step(&frame.Settings{})
	b.pass(5 * time.Second)
	b.diff("code", b.code(), frame.SettingsTimeout)

	b = newBench(t, Config{Role: Client})
	b.pass(time.Minute)
	b.diff("state", b.m.State(), StateReady)
}

// A table that shrinks and grows again, within one frame or from one to the
// next, has been small in between (RFC 7541 4.2).
func TestSettingsTellTheSmallestTable(t *testing.T) {
	table := func(sizes ...uint32) *frame.Settings {
		s := &frame.Settings{}
		for _, n := range sizes {
			s.Values = append(s.Values, frame.Setting{ID: frame.SettingHeaderTableSize, Val: n})
		}
		return s
	}
	for _, c := range []struct {
		name        string
		s           *frame.Settings
		least, last uint32
		silent      bool
	}{
		{"as it was", table(4096), 0, 0, true},
		{"smaller", table(100), 100, 100, false},
		{"larger", table(8192), 4096, 8192, false},
		{"down and up", table(0, 4096), 0, 4096, false},
		{"up and down", table(8192, 4096), 0, 0, true},
		{"down, up and down", table(10, 4096, 20), 10, 20, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := rawBench(t, Config{Role: Server})
			b.step(&Start{})
			b.step(&frame.Settings{})
			fx := b.step(c.s)
			b.diff("silent", fx.Peer == nil, c.silent)
			if p := fx.Peer; p != nil {
				b.diff("table", [2]uint32{p.LeastTableSize, p.HeaderTableSize}, [2]uint32{c.least, c.last})
			}
			if fx = b.step(table(4096)); fx.Peer != nil && fx.Peer.LeastTableSize != min(c.last, 4096) {
				t.Errorf("the next ones begin with %d", fx.Peer.LeastTableSize)
			}
		})
	}
}
