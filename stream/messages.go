package stream

import (
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// In. Besides these, a stream actor takes its machine's events as they are:
// *frame.Headers, *frame.Data and *frame.RSTStream from the connection, and
// *streamfsm.Send, *streamfsm.SendHeader, *streamfsm.Finish, *streamfsm.Consumed
// and *streamfsm.Cancel from the application's side of the call.

// Open gives a slot to a client's call. The connection sends it when it has
// chosen an id; HEADERS follow to loopy.
type Open struct {
	Call *Call
	Slot frame.SlotIndex
	ID   frame.StreamID
}

// Frames are two or more frames of one stream that one socket read brought, in
// wire order. The connection sends them together: the stream steps on all of
// them and performs once.
type Frames struct {
	List [MaxFrames]frame.Frame
	N    int
}

// MaxFrames is how many frames travel together. A whole unary response is three.
const MaxFrames = 3

// Settle asks a stream to report at once what its application has read. The
// connection sends it to all streams when its receive window runs low.
type Settle struct{}

// Rest asks a stream to give back what it keeps at hand. The connection sends it
// to all streams when its peer has been silent for a while.
type Rest struct{}

// tick is the stream's own deadline timer; a generation that is over is
// ignored.
type tick struct{ gen uint64 }

// Out, to the connection.

// OpenCall asks the connection for a stream. The application sends it; the
// connection answers with Open to a slot's actor, now or when a stream ends, or
// with the call's failure.
type OpenCall struct{ Call *Call }

// CancelCall ends a call whose stream may not exist yet.
type CancelCall struct {
	Call    *Call
	gen     uint64
	Code    codes.Code
	Message string
}

// Done says that a slot may serve again: the stream is over, its application
// has finished and loopy holds nothing of it.
type Done struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	Owed int // octets its application has still to read
}

// Credit gives N octets of the connection's receive window back.
type Credit struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	N    int
}

// Starved says that a message has begun for which the stream's window may not
// grow by N octets: the connection's budget for growth refuses. The connection
// answers with *streamfsm.Grow when others have returned what they have.
type Starved struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	N    int
}

// Returned says that a stream gave growth back. It is sent while there are
// streams that starve for it.
type Returned struct{}

var theReturned = &Returned{}

// Reset says that our side reset a stream for the peer's fault: a glitch.
type Reset struct{ ID frame.StreamID }

// Broken says that a stream's peer broke a rule for which the whole connection
// answers.
type Broken struct{ Err *frame.ConnError }

// Target says where this cancellation goes: to a slot's stream, if the call
// has one. live is false when the call it was meant for is over.
func (c *CancelCall) Target() (slot frame.SlotIndex, id frame.StreamID, live bool) {
	return c.Call.target(c.gen)
}

var (
	sends    = sync.Pool{New: func() any { return new(streamfsm.Send) }}
	credits  = sync.Pool{New: func() any { return new(Credit) }}
	dones    = sync.Pool{New: func() any { return new(Done) }}
	consumes = sync.Pool{New: func() any { return new(streamfsm.Consumed) }}
	frames   = sync.Pool{New: func() any { return new(Frames) }}
)

// NewFrames takes an empty Frames from the pool.
func NewFrames() *Frames { return frames.Get().(*Frames) }

// Add appends a frame; it says false when there is no room.
func (m *Frames) Add(f frame.Frame) bool {
	if m.N == MaxFrames {
		return false
	}
	m.List[m.N] = f
	m.N++
	return true
}

// free gives m back; the frames in it have been stepped on.
func (m *Frames) free() {
	*m = Frames{}
	frames.Put(m)
}

// Discard frees m with the frames in it: there is nobody to step on them.
func (m *Frames) Discard() {
	for _, f := range m.List[:m.N] {
		frame.Discard(f)
	}
	m.free()
}

func newSend(id frame.StreamID, p *buffer.Buffer, end bool) *streamfsm.Send {
	m := sends.Get().(*streamfsm.Send)
	*m = streamfsm.Send{StreamID: id, Payload: p, EndStream: end}
	return m
}

func newConsumed(id frame.StreamID, n int) *streamfsm.Consumed {
	m := consumes.Get().(*streamfsm.Consumed)
	*m = streamfsm.Consumed{StreamID: id, N: n}
	return m
}

func newCredit(slot frame.SlotIndex, id frame.StreamID, n int) *Credit {
	m := credits.Get().(*Credit)
	*m = Credit{Slot: slot, ID: id, N: n}
	return m
}

func newDone(slot frame.SlotIndex, id frame.StreamID, owed int) *Done {
	m := dones.Get().(*Done)
	*m = Done{Slot: slot, ID: id, Owed: owed}
	return m
}

// Free gives m back. The connection frees it after its step.
func (m *Credit) Free() { credits.Put(m) }

// Free gives m back. The connection frees it after its step.
func (m *Done) Free() { dones.Put(m) }
