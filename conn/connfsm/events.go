package connfsm

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Event is what a connection machine steps on: a pointer to one of the types
// below, or any frame the reader hands on. Frames of one stream come out again
// as a Route; the machine looks at their ids, not at their gRPC meaning. The
// machine keeps no event (of an Open it keeps Ref), so events may be reused.
type Event any

// Start begins the connection, after the transport (TLS) is up: the machine
// announces its settings.
type Start struct {
	Since time.Time // when the socket was accepted or dialled: the handshake's time runs from then; zero: now
}

// Open asks a client connection for a stream. It is answered by Opened, at
// once or when a stream ends (MAX_CONCURRENT_STREAMS), or by Refused. Ref is
// the asker's, comparable and its own; the machine only hands it back.
type Open struct{ Ref any }

// Withdraw takes back an Open that is still parked; Ref is the Open's.
type Withdraw struct{ Ref any }

// Spill refuses the Opens that are parked: there is a better place for them.
type Spill struct{}

// Done says that a stream's machine is closed, its application has finished
// and nothing of it is left in loopy. Owed octets were delivered but are not
// read yet; Credits for them follow later.
type Done struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	Owed int
}

// Credit says that the application has read N octets. ID says of which stream;
// for a stream that is Done already the octets come out of what it owed.
type Credit struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	N    int
}

// Starved says that a stream's window may not grow by the N octets that a
// message lacks. It is answered with a Grow when its turn has come, unless the
// stream ends before.
type Starved struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	N    int
}

// Returned says that streams have given growth back. It has to be said while
// Starving.
type Returned struct{}

// Reset reports that our side reset a stream because the peer broke a rule, or
// answered a request that never reached a handler: a glitch for the flood
// budget.
type Reset struct{ ID frame.StreamID }

// Wrote reports what loopy has put on the wire since the last Wrote: DATA
// frames (the measure for WINDOW_UPDATE floods) and header blocks. Either one
// entitles the peer to a PING.
type Wrote struct {
	DataFrames int
	Headers    int
}

// Tick says that the time asked for in Effects.Timer has come (or passed).
type Tick struct{}

// Drain ends the connection gently: no new streams, those in flight finish.
// A server sends GOAWAY twice (RFC 9113 6.8).
type Drain struct {
	Reason string
	Code   frame.ErrCode
}

// Close ends the connection now.
type Close struct {
	Code   frame.ErrCode
	Reason string
	Err    error
}

// TransportDown says that reading or writing the socket has ended. A
// *frame.ConnError in it is a breach that the reader or loopy noticed: the peer
// is told before the socket closes.
type TransportDown struct{ Err error }

// Route passes a frame on to the actor in Slot. New is set on the first frame
// of a server's stream.
type Route struct {
	Slot  frame.SlotIndex
	ID    frame.StreamID
	Frame frame.Frame
	New   bool
}

// Opened answers an Open.
type Opened struct {
	Ref  any
	Slot frame.SlotIndex
	ID   frame.StreamID
}

// Refused answers an Open that this connection cannot serve: it drains, its ids
// are used up, or it is lost. The RPC may go to another connection.
type Refused struct {
	Ref    any
	Reason string
}

// Failed tells the stream in Slot that the peer sent it something malformed: it
// resets itself with Err's code.
type Failed struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	Err  *frame.StreamError
}

// Grow lets the stream in Slot grow by N octets: they are charged to the budget
// for growth, and the stream's from here on.
type Grow struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
	N    int
}

// Gone tells the stream in Slot that its connection is lost to it.
type Gone struct {
	Slot        frame.SlotIndex
	ID          frame.StreamID
	Code        codes.Code
	Message     string
	Unprocessed bool
}

// PeerSettings is a change of the peer's settings that loopy must apply before
// it writes the acknowledgement that follows in Control.
type PeerSettings struct {
	MaxFrameSize      uint32
	InitialWindow     uint32
	HeaderTableSize   uint32
	LeastTableSize    uint32 // the smallest HeaderTableSize on the way to this one (RFC 7541 4.2)
	MaxHeaderListSize uint32 // 0: no limit announced
}

// Closing ends the socket: Control is flushed first, then it is closed.
type Closing struct {
	Err    error         // *frame.ConnError, the transport's error, or nil for a finished drain
	Linger time.Duration // how long the flush may take
}

// Report is a change the parent is told.
type Report uint8

// Reports.
const (
	NoReport Report = iota
	Ready           // the peer's first SETTINGS arrived: streams may be opened
	Draining        // no new streams: GOAWAY received or sent, or ids used up
	Down            // the connection is over; Closing says why
)

func (r Report) String() string { return [...]string{"none", "ready", "draining", "down"}[r] }

// Effects is what a step asks the connection actor to do, performed in the
// order of the fields. A step appends; it never looks at what is there.
type Effects struct {
	Peer       *PeerSettings         // to loopy, before Control
	Control    []frame.Control       // to loopy, in order
	Windows    []*frame.WindowUpdate // the peer's grants, to loopy: of the connection, or with Slot set; loopy judges overflow and frees them
	Route      []Route               // to stream actors, in order
	Failed     []Failed              // to stream actors
	Grow       []Grow                // to stream actors
	Free       []frame.Frame         // consumed frames that are pooled: give back, with a Data's Message
	Opened     []Opened
	Refused    []Refused
	Gone       []Gone
	Reports    []Report
	GoAway     *frame.GoAway // what the peer said, with Draining if that was not reported yet
	Closing    *Closing
	Timer      time.Time // when a Tick is wanted: earlier than any asked for and not come yet; zero: no change
	Transition []Transition
}

// Transition is one state change.
type Transition struct{ From, To, On string }

// Reset empties fx for the next step, keeping its room.
//
// It runs once per turn, so it touches only what was used: writing pointers
// costs barriers while the collector runs.
func (fx *Effects) Reset() {
	empty(&fx.Control)
	empty(&fx.Windows)
	empty(&fx.Route)
	empty(&fx.Failed)
	empty(&fx.Grow)
	empty(&fx.Free)
	empty(&fx.Opened)
	empty(&fx.Refused)
	empty(&fx.Gone)
	fx.Reports, fx.Transition = fx.Reports[:0], fx.Transition[:0]
	if fx.Peer != nil || fx.GoAway != nil || fx.Closing != nil {
		fx.Peer, fx.GoAway, fx.Closing = nil, nil, nil
	}
	if !fx.Timer.IsZero() {
		fx.Timer = time.Time{}
	}
}

func empty[T any](s *[]T) {
	if len(*s) > 0 {
		clear(*s)
		*s = (*s)[:0]
	}
}
