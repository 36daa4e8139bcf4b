package stream

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// ConnInfo is what an RPC may know of its connection. It does not change once
// the connection is up.
type ConnInfo struct {
	Path     string // the connection actor's path
	Local    net.Addr
	Remote   net.Addr
	AuthInfo credentials.AuthInfo
}

// Transport is what a call needs of its connection's actors.
type Transport interface {
	Tell(msg any)
	Info() *ConnInfo
}

// Canceler is a server call's context: told once, when the stream ends before
// its handler does.
type Canceler interface{ Cancel(err error) }

// Handler starts the application's side of a new server call. It is asked on
// an actor's turn, so it only queues the call for a worker.
type Handler interface{ Serve(c *Call) }

// Call is the edge between an application's goroutine and the actor of its
// stream: the actor puts in what arrived, the application waits here and takes
// it out; what the application sends goes to the actor's mailbox.
//
// A Call is pooled. It goes back when both sides let go of it: the application
// with Release (a client) or Finish (a server), the actor with the RPC's end.
type Call struct {
	*asked  // client
	*served // server

	// Set by a client before it opens the call, and read only by then.
	First     *buffer.Buffer // wire bytes of the message that travels with HEADERS
	FirstEnds bool
	Unary     bool // wait only for the end
	Deadline  time.Time
	Keep      bool // never pooled: the application may hold on to it beyond its end

	transport Transport
	server    bool
	gen       atomic.Uint64 // tells this RPC from the Call's next one

	wake chan struct{} // Edge: one receiver waits here; a spare token only makes it look again

	mu        sync.Mutex
	stream    actors.Ref[any]
	slot      frame.SlotIndex
	id        frame.StreamID
	quota     *flow.Quota
	given     bool // the connection has chosen slot and id
	opened    bool // and their actor knows
	inbox     []streamfsm.Message
	head      int // inbox[:head] is read
	block     *frame.Headers
	gotHeader bool
	headerUp  chan struct{} // made by who waits for the header; closed when it is there or never comes
	ended     bool          // server: the peer has half-closed
	over      bool          // the application sees the RPC as ended
	canceled  bool          // by its own Cancel: what arrives later is dropped
	outcome   streamfsm.Outcome
	owed      int          // octets delivered and not yet reported as read, after the stream is done
	unread    int          // octets taken by the application and not yet reported
	threshold int          // report from this many on
	low       *atomic.Bool // the connection's: its receive window runs low, so everything is reported at once
	canceler  Canceler
	cancelErr error // server: why the stream ended before its handler
	recvErr   error // server: why no message follows, where the stream goes on
	released  bool  // the application has let go
	parted    bool  // the actor has let go
	pinned    bool  // loopy may still read Request: the Call is not used again
}

// asked is what only a client's Call has.
type asked struct {
	Request  header.Request // set with the other exported fields
	response header.InboundResponse
	event    streamfsm.Open // reused: opening must not allocate
	open     Open
	openCall OpenCall
}

// served is what only a server's Call has.
type served struct {
	In header.InboundRequest // set by the actor before the handler starts
}

// Each is one object with its part.
var (
	calls = sync.Pool{New: func() any {
		c := &struct {
			Call
			asked
		}{}
		c.Call.asked, c.wake = &c.asked, make(chan struct{}, 1)
		return &c.Call
	}}
	servedCalls = sync.Pool{New: func() any {
		c := &struct {
			Call
			served
		}{}
		c.Call.served, c.wake, c.server = &c.served, make(chan struct{}, 1), true
		return &c.Call
	}}
)

// NewCall takes a client's Call from the pool. The client fills its exported
// fields and calls Open.
func NewCall() *Call { return calls.Get().(*Call) }

func newServed() *Call { return servedCalls.Get().(*Call) }

// Open asks t's connection for a stream.
func (c *Call) Open(t Transport) {
	c.transport = t
	c.openCall.Call = c
	t.Tell(&c.openCall)
}

// Info describes the connection that serves the call.
func (c *Call) Info() *ConnInfo { return c.transport.Info() }

// Transport is the connection that a client's call was opened on.
func (c *Call) Transport() Transport { return c.transport }

// Opened says whether the call has a stream yet; one that waits at
// MAX_CONCURRENT_STREAMS has none.
func (c *Call) Opened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// Outcome is the RPC's end. It may be read once Wait or Recv reported it.
func (c *Call) Outcome() *streamfsm.Outcome { return &c.outcome }

// Status is the RPC's final status; nil means OK.
func (c *Call) Status() *status.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcome.Status
}

// Header is the response's meaning and its metadata; ok is false when none
// arrived.
func (c *Call) Header() (r *header.InboundResponse, md metadata.MD, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gotHeader {
		return nil, nil, false
	}
	md, err := header.FieldsMetadata(c.block.Fields)
	if err != nil {
		md = metadata.MD{}
	}
	return &c.response, md, true
}

// Response is the meaning of the response's header block, without metadata.
func (c *Call) Response() *header.InboundResponse { return &c.response }

// Trailer is the trailing metadata, empty when none arrived.
func (c *Call) Trailer() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outcome.Metadata == nil {
		return metadata.MD{}
	}
	return c.outcome.Metadata
}

// Attach names the context to cancel when the stream ends early. It may have
// ended already.
func (c *Call) Attach(ctx Canceler) {
	c.mu.Lock()
	c.canceler = ctx
	err := c.cancelErr
	c.mu.Unlock()
	if err != nil {
		ctx.Cancel(err)
	}
}

// Cancel ends a client's call: at once for the application, and on the wire by
// RST_STREAM(CANCEL) if its stream was opened. It says false when the call had
// ended before.
func (c *Call) Cancel(code codes.Code, message string) bool {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return false
	}
	c.over, c.canceled = true, true
	c.outcome = streamfsm.Outcome{Status: status.New(code, message), Code: code}
	m := &CancelCall{Call: c, gen: c.gen.Load(), Code: code, Message: message}
	t := c.transport
	c.headerNeverComes()
	c.mu.Unlock()
	c.signal()
	t.Tell(m)
	return true
}

// Release lets go of a client's call. Nothing of it may be used afterwards.
func (c *Call) Release() {
	c.mu.Lock()
	c.released = true
	last := c.parted
	var r report
	if last {
		r = report{transport: c.transport, slot: c.slot, id: c.id, n: c.owed, done: true}
	}
	c.mu.Unlock()
	if last {
		c.recycle()
	}
	r.post()
}

// target says where a cancellation of generation gen goes.
func (c *Call) target(gen uint64) (slot frame.SlotIndex, id frame.StreamID, live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen.Load() != gen || c.parted {
		return frame.NoSlot, 0, false
	}
	if !c.given {
		return frame.NoSlot, 0, true
	}
	return c.slot, c.id, true
}

// Discard gives a Call back that was never opened.
func (c *Call) Discard() { c.recycle() }

// recycle gives the Call back. Both sides have let go of it.
func (c *Call) recycle() {
	c.drop()
	if c.Keep || c.pinned {
		return
	}
	c.clear()
	if c.server {
		servedCalls.Put(c)
		return
	}
	calls.Put(c)
}

// drop releases what the Call holds. Only an application that keeps its Call
// can look at it yet.
func (c *Call) drop() {
	if c.Keep {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	for _, m := range c.inbox[c.head:] {
		m.Buf.Release()
	}
	clear(c.inbox)
	c.inbox, c.head = c.inbox[:0], 0
	if c.block != nil {
		c.block.Free()
	}
	if c.outcome.Trailer != nil {
		c.outcome.Trailer.Free()
	}
	if c.First != nil {
		c.First.Release()
	}
	c.block, c.gotHeader, c.outcome.Trailer, c.First = nil, false, nil, nil
}

// clear makes the Call as new.
func (c *Call) clear() {
	if c.canceled {
		c.mu.Lock() // the cancellation may be looking whom it is for
		c.gen.Add(1)
		c.mu.Unlock()
	} else {
		c.gen.Add(1)
	}
	if c.served != nil {
		c.In.Reset()
	}
	if c.asked != nil {
		c.Request, c.event.Payload = header.Request{}, nil
		c.response.Reset()
	}
	c.FirstEnds, c.Unary = false, false
	c.transport = nil
	c.stream, c.quota, c.slot, c.id, c.given, c.opened = actors.Ref[any]{}, nil, 0, 0, false, false
	c.headerUp = nil
	c.ended, c.over, c.canceled, c.outcome = false, false, false, streamfsm.Outcome{}
	c.owed, c.unread, c.threshold, c.low = 0, 0, 0, nil
	c.canceler, c.cancelErr, c.recvErr = nil, nil, nil
	c.Deadline = time.Time{}
	c.released, c.parted = false, false
	select {
	case <-c.wake:
	default:
	}
}

// signal wakes the receiver. The Call may have been recycled meanwhile: its
// next receiver then looks once too often, which harms nobody.
func (c *Call) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// OpenAs makes the message that gives the call its stream. From here on it is
// cancelled there: the slot's actor may be busy yet and get to it later.
func (c *Call) OpenAs(slot frame.SlotIndex, id frame.StreamID) *Open {
	c.mu.Lock()
	c.slot, c.id, c.given = slot, id, true
	c.mu.Unlock()
	c.open = Open{Call: c, Slot: slot, ID: id}
	return &c.open
}
