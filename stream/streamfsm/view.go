package streamfsm

import (
	"strconv"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// View is a machine at a glance, for inspection: a small value without
// pointers, to be published as it is.
type View struct {
	Role      Role
	State     State
	StreamID  frame.StreamID
	Waits     Wait
	In, Out   int // messages received, sent
	Unread    int // octets delivered and not reported as read
	Pending   int // octets still to come of the message that has begun
	Window    int // octets the peer may still send
	Size      int // receive window
	Growth    int // octets of it that are charged to the connection's budget for growth
	HeadSent  bool
	HeadCame  bool
	Concluded bool // the Outcome was given
}

// Wait is what an RPC cannot go on without.
type Wait uint8

// What an RPC may wait for.
const (
	WaitNothing  Wait = iota // it is over
	WaitResponse             // a client: the response's header block
	WaitMessage              // the peer's next message, or its end
	WaitRest                 // the rest of a message that has begun
	WaitReader               // our application, to read what is there
	WaitHandler              // the handler, to send or finish
	WaitGrowth               // memory for a message that has begun
)

func (w Wait) String() string {
	switch w {
	case WaitNothing:
		return "nothing"
	case WaitResponse:
		return "response headers"
	case WaitMessage:
		return "the peer's next message or end"
	case WaitRest:
		return "the rest of a message"
	case WaitReader:
		return "the application to read"
	case WaitHandler:
		return "the handler"
	case WaitGrowth:
		return "memory for a message"
	}
	return "wait(" + strconv.Itoa(int(w)) + ")"
}

// View describes the machine as it stands.
func (m *Machine) View() View {
	v := View{
		Role: m.cfg.Role, State: m.state, StreamID: m.id, Waits: m.waits(),
		In: m.in, Out: m.out, Unread: m.unread, Pending: m.pending,
		HeadSent: m.sentHead, HeadCame: m.gotHead, Concluded: m.told,
	}
	if m.id != 0 {
		v.Window, v.Size, v.Growth = m.rx.Available(), m.rx.Size(), m.growth
	}
	if m.cfg.Role == Client {
		v.HeadSent = m.id != 0
	} else {
		v.HeadCame = m.id != 0
	}
	return v
}

func (m *Machine) waits() Wait {
	switch {
	case m.done:
		return WaitNothing
	case !m.receiving():
		return WaitHandler
	case m.deaf && m.accepted:
		return WaitHandler
	case !m.hungry() && (m.pending == 0 || m.rx.Available() < m.pending):
		return WaitReader
	case m.starved:
		return WaitGrowth
	case m.pending > 0:
		return WaitRest
	case m.cfg.Role == Client && !m.answered():
		return WaitResponse
	}
	return WaitMessage
}
