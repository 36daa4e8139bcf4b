package streamfsm

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// Event is what a stream machine steps on: one of the types below, or a frame
// of this stream (*frame.Headers, *frame.Data, *frame.RSTStream). They are the
// stream actor's messages as they are. Events that come from the application
// carry the stream id they were meant for; one that is meant for an earlier
// occupant of the slot is a legal race and changes nothing.
type Event any

// Open starts a client's stream: idle -> open, or half-closed (local) when
// EndStream is set. The connection has chosen the id and the slot.
type Open struct {
	StreamID  frame.StreamID
	Slot      frame.SlotIndex
	Header    frame.FieldSource
	Payload   *buffer.Buffer // first message's wire bytes, or nil
	EndStream bool
	Unary     bool      // one message each way: what arrives counts as read when the call ends
	Deadline  time.Time // the call's own; tells whose idea a later CANCEL of the server was. Zero: none
}

// Send puts one message on the wire; EndStream half-closes. A Send without
// Payload only half-closes.
type Send struct {
	StreamID  frame.StreamID
	Payload   *buffer.Buffer
	EndStream bool
}

// SendHeader puts a server's response headers on the wire (once).
type SendHeader struct {
	StreamID frame.StreamID
	Header   *header.Response
}

// Finish ends a server's RPC: the handler has returned. A whole unary response
// is one Finish. It is sent exactly once per RPC, also when the stream is over
// already: the slot stays taken until then. The machine fills in Trailer's Only
// (whether a header block went before it) and, then, ContentSubtype.
type Finish struct {
	StreamID frame.StreamID
	Header   *header.Response // nil when sent before, or for a trailers-only response
	Payload  *buffer.Buffer   // nil when there is none
	Trailer  *header.Trailer
}

// Cancel ends the RPC from our side: the application gave up, or the deadline
// passed. A client's call gets the status; a server's handler is told.
type Cancel struct {
	StreamID frame.StreamID
	Code     codes.Code
	Message  string
}

// Consumed says that the application has read N octets of messages: what they
// had on the wire, so PrefixLen more than Message.Buf holds for each. A client's
// unary call sends none.
type Consumed struct {
	StreamID frame.StreamID
	N        int
}

// Grow ends a stream's starving: N octets, those of Effects.Starved, were
// charged to the budget for growth in its place. They are the stream's from here
// on, or go back at once if it does not need them any more.
type Grow struct {
	StreamID frame.StreamID
	N        int
}

// Fail ends the stream because a rule was broken that somebody above the
// stream noticed: RST_STREAM(Err.Code), and the RPC's status.
type Fail struct{ Err *frame.StreamError }

// Lost says that the connection is gone, or that the peer announced it will
// not serve this stream (GOAWAY below its id): then Unprocessed is set.
type Lost struct {
	StreamID    frame.StreamID
	Code        codes.Code
	Message     string
	Unprocessed bool
}

// Rejected says that loopy could not write the stream's header block: it is
// larger than the peer accepts. Loopy has reset the stream if the peer knew it.
type Rejected struct {
	StreamID frame.StreamID
	Reason   string
}

// Message is one inbound gRPC message, still encoded. Its receiver releases
// Buf.
type Message struct {
	Buf        *buffer.Buffer
	Compressed bool
}

// Outcome is the one terminal report of an RPC. It is the machine's and valid
// until the actor's turn ends: whoever keeps it keeps a copy.
type Outcome struct {
	Status      *status.Status // nil: OK
	Trailer     *frame.Headers // the trailing block or nil; owned by the receiver
	Metadata    metadata.MD    // what the application sees of Trailer, decoded; nil when that is nothing
	Unprocessed bool           // no handler can have seen the RPC: it may be sent again elsewhere
	Pushback    bool           // the server answered with trailers only (a retry decision may look at them)
	Reset       bool           // ended by RST_STREAM from the peer
	ResetCode   frame.ErrCode
	Code        codes.Code   // Status's code, also for OK
	Fault       *frame.Fault // why the inbound messages ended early, if they did
}

// Effects is what a step asks its actor to do. The actor owns it, performs it
// in the order of the fields, and resets it for the next step.
type Effects struct {
	Drop       bool              // to loopy, first: the stream is over without a word of ours, what it has queued is dropped
	Out        []*frame.Outgoing // to loopy, in order
	Control    []frame.Control   // to loopy: this stream's WINDOW_UPDATEs
	Accept     *frame.Headers    // server: a well-formed request has begun; owned by the receiver, as is the machine's Request()
	Deadline   time.Time         // server, with Accept: when the RPC's time is up; zero: never
	Header     *frame.Headers    // client: the response's header block; owned by the receiver, as is the machine's Response()
	Messages   []Message         // to the application
	RemoteEnd  bool              // server: the peer has half-closed, no message follows
	Credit     int               // octets of the connection's receive window given back
	CreditID   frame.StreamID    // with Credit: whose they are, this stream's or an earlier occupant's of the slot
	Starved    int               // octets the window has to grow by and may not yet; the connection answers with Grow, sooner or later
	Returned   bool              // growth was given back: others may starve for it
	Outcome    *Outcome          // the RPC's terminal report, exactly once; on a server only when it ended before its Finish
	Done       bool              // the machine is closed and the application has finished: the slot may serve again, once loopy is through with it
	Owed       int               // with Done: octets delivered to a client's application that it has not read yet; credited later, by the call
	Transition []Transition
}

// Transition is one state change; On is the event's type.
type Transition struct{ From, To, On string }

// Reset empties fx for the next step, keeping its room.
//
// It runs once per step, so it touches only what was used: writing pointers
// costs barriers while the collector runs.
func (fx *Effects) Reset() {
	if len(fx.Out)+len(fx.Control) > 0 {
		clear(fx.Out)
		clear(fx.Control)
		fx.Out, fx.Control = fx.Out[:0], fx.Control[:0]
	}
	if len(fx.Messages) > 0 {
		clear(fx.Messages)
		fx.Messages = fx.Messages[:0]
	}
	if fx.Accept != nil || fx.Header != nil || fx.Outcome != nil {
		fx.Accept, fx.Header, fx.Outcome = nil, nil, nil
	}
	if !fx.Deadline.IsZero() {
		fx.Deadline = time.Time{}
	}
	fx.Drop, fx.Returned, fx.RemoteEnd, fx.Done = false, false, false, false
	fx.Credit, fx.CreditID, fx.Starved, fx.Owed = 0, 0, 0, 0
	fx.Transition = fx.Transition[:0]
}
