package connfsm

import "github.com/callboard-rpc/callboard/codec/frame"

// fate is what is known of a stream that is not live.
type fate uint8

const (
	fateIdle      fate = iota // it never began
	fateForgotten             // closed, too long ago to know how, or skipped
	fateAbandoned             // closed by us before the peer had ended it: whatever it sent is tolerated
	fateEnded                 // the peer had sent END_STREAM
	fateReset                 // the peer had sent RST_STREAM
)

// fateOf classifies a stream that has no slot (RFC 9113 5.1, 5.1.1). Even ids
// are always idle: gRPC has no server push, so nobody ever uses one.
func (m *Machine) fateOf(id frame.StreamID) fate {
	if id&1 == 0 || m.unused(id) {
		return fateIdle
	}
	return m.streams.past.fate(id)
}

func (m *Machine) unused(id frame.StreamID) bool {
	if m.cfg.Role == Client {
		return id >= m.next
	}
	return id > m.highest
}

// pastLen is how many closed streams are remembered: more than the frames that
// can be under way for a stream the peer has ended itself.
const pastLen = 256

// past remembers how the latest streams were closed. An entry is the id, whose
// low bit is always set and whose high bit never is; the two bits say how.
type past struct {
	ring []uint32
	at   int
}

const (
	pastEnded = 1 << 0
	pastReset = 1 << 31
	pastMark  = pastEnded | pastReset
)

func (p *past) remember(id frame.StreamID, f fate) {
	e := uint32(id) &^ pastMark
	switch f {
	case fateEnded:
		e |= pastEnded
	case fateReset:
		e |= pastReset
	default:
	}
	if len(p.ring) < pastLen {
		p.ring = append(p.ring, e)
		return
	}
	p.ring[p.at] = e
	p.at = (p.at + 1) % pastLen
}

func (p *past) fate(id frame.StreamID) fate {
	want := uint32(id) &^ pastMark
	for _, e := range p.ring {
		if e&^pastMark != want {
			continue
		}
		switch e & pastMark {
		case pastEnded:
			return fateEnded
		case pastReset:
			return fateReset
		default:
			return fateAbandoned
		}
	}
	return fateForgotten
}

// idle is the breach of sending what only a stream that has begun may carry.
func idle(what string, id frame.StreamID) *frame.ConnError {
	return breach(frame.ProtocolError, "RFC 9113 5.1", "%s on idle stream %v", what, id)
}
