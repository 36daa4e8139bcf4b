package connfsm

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// View is a copy of what a connection knows, for inspection.
type View struct {
	Role  Role
	State State

	Local      []frame.Setting // as sent with Start
	LocalAcked bool
	Peer       PeerSettings
	PeerLimit  uint32 // the peer's MAX_CONCURRENT_STREAMS; 2^32-1: none

	Window  Window
	Streams Streams

	GlitchTokens int // left in the flood budget; -1: unlimited
	Glitches     map[string]uint64

	PingRTT       time.Duration // the latest; 0: never measured
	LastRead      time.Time
	KeepaliveWait bool      // a keepalive PING is unanswered
	KeepaliveSent time.Time // when that was sent
	NextTick      time.Time
	Strikes       int // PINGs of the peer that came too soon

	Started     time.Time
	DrainReason string
	DrainFinal  bool          // server: the last GOAWAY was sent
	GoAway      *frame.GoAway // the peer's latest, or nil
}

// Window is the connection's receive window: Granted = Consumed + Held +
// Available.
type Window struct {
	Size, Available, Held       int
	Granted, Received, Consumed int64
	Owed                        int // of Held: of streams that are over, but not read
	Lent                        int // of Size: for messages that have only begun
	Growth                      int // of all streams: what their windows are larger by than in the beginning
	Starving                    int // streams whose windows may not grow yet
}

// Streams is the stream table.
type Streams struct {
	Live, Peak, Slots, Parked int
	Total                     uint64
	Limit                     uint32         // server: as announced
	NextID                    frame.StreamID // client
	HighestID                 frame.StreamID // server
	IDsLeft                   uint32         // until the connection drains (client) or the id space ends (server)
}

// View copies the machine's knowledge.
func (m *Machine) View() View {
	v := View{
		Role: m.cfg.Role, State: m.state,
		LocalAcked: m.local.acked,
		Peer:       m.peer.PeerSettings, PeerLimit: m.peer.maxStreams,
		Window: Window{
			Size: m.recv.Size(), Available: m.recv.Available(), Held: m.recv.Held(),
			Granted: m.recv.Granted(), Received: m.recv.Received(), Consumed: m.recv.Consumed(),
			Owed: m.owed, Lent: m.lent,
		},
		Streams: Streams{
			Live: m.streams.live, Peak: m.streams.peak, Slots: len(m.streams.slots), Parked: m.parked.len(),
			Total: m.streams.total,
		},
		GlitchTokens: -1,
		Glitches:     make(map[string]uint64),
		PingRTT:      m.wire.rtt, LastRead: m.lastRead,
		KeepaliveWait: m.wire.alive.seq != 0 && !m.heard, KeepaliveSent: m.wire.alive.sent,
		NextTick: m.armed, Strikes: m.wire.strikes,
		Started: m.started, DrainReason: m.drain.reason, DrainFinal: m.drain.final, GoAway: m.goAway,
	}
	if !m.started.IsZero() {
		v.Local = m.announced()
	}
	v.Window.Starving = len(m.line.queue)
	if m.growth != nil {
		v.Window.Growth = int(m.growth.Used())
	}
	if !m.glitches.off {
		v.GlitchTokens = m.glitches.bucket.Tokens(m.now)
	}
	if m.glitches.counts != nil {
		for c, n := range m.glitches.counts {
			if n > 0 {
				v.Glitches[GlitchCause(c).String()] = n
			}
		}
	}
	s := &v.Streams
	if m.cfg.Role == Client {
		s.NextID = m.next
		if m.next <= m.cfg.LastID {
			s.IDsLeft = uint32(m.cfg.LastID-m.next)/2 + 1
		}
	} else {
		s.Limit, s.HighestID = m.cfg.MaxConcurrentStreams, m.highest
		s.IDsLeft = uint32(frame.MaxStreamID-m.highest) / 2
	}
	return v
}
