package streamfsm

import (
	"fmt"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// PrefixLen is what stands before every gRPC message on the wire: the
// compressed flag and the length.
const PrefixLen = 5

// Config is what does not change from one RPC of a machine to the next.
type Config struct {
	Role          Role
	Slot          frame.SlotIndex // server: the slot its Outgoings are marked with; a client's comes with Open
	InitialWindow uint32          // the SETTINGS_INITIAL_WINDOW_SIZE we announced
	MaxMessage    int             // receive limit of one message: windows do not grow beyond it; 0: as far as they must
	Growth        *flow.Budget    // the connection's, for what windows are larger than InitialWindow; nil: they grow unasked
}

// Machine is one stream, and the RPC it carries, as a value. It belongs to one
// actor.
type Machine struct {
	cfg   Config
	state State
	id    frame.StreamID
	slot  frame.SlotIndex
	rpc

	// Reused by every RPC of the machine, and made when one needs it: a stream
	// that waits is to cost little.
	request  *header.InboundRequest  // server; see Into
	response *header.InboundResponse // client
	own      *own                    // server
	outcome  Outcome
}

// own is what a server says that its application did not.
type own struct {
	answer header.Trailer  // the reply where there is no handler
	plain  header.Response // headers for an application that sent none
}

func (m *Machine) owned() *own {
	if m.own == nil {
		m.own = new(own)
	}
	return m.own
}

// rpc is what begins anew with each RPC.
type rpc struct {
	rx       flow.Receive
	in, out  int       // messages received, sent
	unread   int       // octets delivered and not reported as read, prefixes included
	pending  int       // octets of the begun message that are still to come
	growth   int       // octets charged to Growth
	pace     pace      // of the application's reading
	update   int       // octets granted within this step
	body     int64     // octets of DATA as far as content-length counts them
	deadline time.Time // zero: none

	interim    uint8 // client: 1xx blocks so far
	done       bool  // nothing of the RPC is left: the next may begin
	told       bool  // the Outcome was given
	deaf       bool  // inbound messages are not delivered any more
	starved    bool  // Growth refused what the begun message needs: a Grow will come
	peerSilent bool  // the peer sent END_STREAM or RST_STREAM: whatever else it sends is a breach
	unary      bool  // client: one message each way
	gotHead    bool  // client: the response's headers have arrived
	accepted   bool  // server: a handler runs: a Finish will come
	sentHead   bool  // server
	parked     bool  // server: the answer goes out when the request has ended

	fault *frame.Fault

	// Client.
	foreign  *header.Problem // the response is not gRPC's; its body is waited for
	declared int64           // content-length, -1: none
}

// New makes a machine of one role, idle. It serves one RPC after the other.
func New(cfg Config) *Machine {
	if cfg.InitialWindow > frame.MaxWindow {
		panic(fmt.Sprintf("streamfsm: initial window of %d", cfg.InitialWindow))
	}
	m := &Machine{cfg: cfg, slot: cfg.Slot}
	m.done = true
	return m
}

// State is the stream's state in RFC 9113 5.1.
func (m *Machine) State() State { return m.state }

// StreamID is the stream that occupies the machine, or did last; 0 before the
// first.
func (m *Machine) StreamID() frame.StreamID { return m.id }

// Done says that nothing of the last RPC is left here.
func (m *Machine) Done() bool { return m.done }

// Into says where a server's next request is read to. It is the machine's until
// the RPC is done. Without it each machine has a place of its own.
func (m *Machine) Into(r *header.InboundRequest) { m.request = r }

// Request is what a server's request said, after Accept. Its User slice lasts
// until the next RPC.
func (m *Machine) Request() *header.InboundRequest { return m.request }

// Response is what the header block of a client's response said, after Header.
// Its Fields slice is the machine's and lasts until the next RPC.
func (m *Machine) Response() *header.InboundResponse { return m.response }

// Step takes one event and puts what has to be done into fx, which must be
// empty. now is when.
//
// An error is the peer's fault. A *frame.StreamError has been acted upon
// already and is returned to be counted; a *frame.ConnError is for the
// connection to act upon. Events that are ours to get right and are wrong
// panic.
func (m *Machine) Step(ev Event, now time.Time, fx *Effects) error {
	err := m.step(ev, now, fx)
	if m.growth > 0 {
		m.trim(fx)
	}
	return err
}

func (m *Machine) step(ev Event, now time.Time, fx *Effects) error {
	switch ev := ev.(type) {
	case *frame.Headers:
		return m.headers(ev, now, fx)
	case *frame.Data:
		return m.data(ev, fx)
	case *frame.RSTStream:
		m.rst(ev, now, fx)
	case *Open:
		m.open(ev, fx)
	case *Send:
		m.send(ev, fx)
	case *SendHeader:
		m.sendHeader(ev, fx)
	case *Finish:
		m.finish(ev, fx)
	case *Consumed:
		m.consumed(ev, now, fx)
	case *Grow:
		m.granted(ev, fx)
	case *Cancel:
		m.cancel(ev, fx)
	case *Fail:
		return m.fail(ev, fx)
	case *Lost:
		m.lost(ev, fx)
	case *Rejected:
		m.rejected(ev, fx)
	default:
		panic(m.wrong(ev))
	}
	return nil
}

// begin makes the machine serve stream id, in slot.
func (m *Machine) begin(id frame.StreamID, slot frame.SlotIndex) {
	m.state, m.id, m.slot = StateIdle, id, slot
	m.rpc = rpc{rx: flow.NewReceive(m.cfg.InitialWindow), declared: -1}
}

// stale reports whether an event about stream id is meant for an earlier
// occupant of the slot. One for a later occupant, or a first one that never
// came, is a bug of ours.
func (m *Machine) stale(id frame.StreamID, ev Event) bool {
	if id > m.id || m.state == StateIdle {
		panic(m.wrong(ev))
	}
	return id < m.id
}

// application is stale for an event that only an RPC's application sends.
func (m *Machine) application(id frame.StreamID, ev Event) (stale bool) {
	if m.stale(id, ev) {
		return true
	}
	if m.cfg.Role == Server && !m.accepted {
		panic(m.wrong(ev))
	}
	return false
}

// become is the one place where the state changes.
func (m *Machine) become(to State, on string, fx *Effects) {
	fx.Transition = append(fx.Transition, Transition{From: m.state.String(), To: to.String(), On: on})
	m.state = to
}

// emit appends an Outgoing of this stream to fx.
func (m *Machine) emit(fx *Effects) *frame.Outgoing {
	o := frame.NewOutgoing()
	o.StreamID, o.Slot = m.id, m.slot
	fx.Out = append(fx.Out, o)
	return o
}

// reset closes the stream from our side.
func (m *Machine) reset(code frame.ErrCode, on string, fx *Effects) *frame.Outgoing {
	o := m.emit(fx)
	o.Reset, o.Code = true, code
	m.become(StateClosed, on, fx)
	return o
}

// wrong describes input that is ours to get right.
func (m *Machine) wrong(ev Event) string {
	return fmt.Sprintf("streamfsm: %v of stream %d in state %v (done %t): cannot take %s",
		m.cfg.Role, m.id, m.state, m.done, describe(ev))
}

func describe(ev Event) string {
	switch ev := ev.(type) {
	case *frame.Headers:
		return fmt.Sprintf("Headers{StreamID: %d, EndStream: %t}", ev.StreamID, ev.EndStream)
	case *frame.Data:
		return fmt.Sprintf("Data{StreamID: %d, Size: %d, EndStream: %t}", ev.StreamID, ev.Size, ev.EndStream)
	case *frame.RSTStream:
		return fmt.Sprintf("RSTStream{StreamID: %d, Code: %v}", ev.StreamID, ev.Code)
	case *Open:
		return fmt.Sprintf("Open{StreamID: %d}", ev.StreamID)
	case *Send:
		return fmt.Sprintf("Send{StreamID: %d, EndStream: %t}", ev.StreamID, ev.EndStream)
	case *SendHeader:
		return fmt.Sprintf("SendHeader{StreamID: %d}", ev.StreamID)
	case *Finish:
		return fmt.Sprintf("Finish{StreamID: %d}", ev.StreamID)
	case *Consumed:
		return fmt.Sprintf("Consumed{StreamID: %d, N: %d}", ev.StreamID, ev.N)
	case *Grow:
		return fmt.Sprintf("Grow{StreamID: %d, N: %d}", ev.StreamID, ev.N)
	case *Cancel:
		return fmt.Sprintf("Cancel{StreamID: %d, Code: %v}", ev.StreamID, ev.Code)
	case *Fail:
		return fmt.Sprintf("Fail{%v}", ev.Err)
	case *Lost:
		return fmt.Sprintf("Lost{StreamID: %d}", ev.StreamID)
	case *Rejected:
		return fmt.Sprintf("Rejected{StreamID: %d}", ev.StreamID)
	}
	return fmt.Sprintf("%T", ev)
}
