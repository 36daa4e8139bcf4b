// Package stream holds one RPC as an actor.
//
// # Role
//
// A stream actor is the bridge between the frames of one HTTP/2 stream and the
// application that calls or serves. It steps its machine (streamfsm) and
// performs the effects; it decides nothing itself. An actor occupies a slot of
// its connection and serves one RPC at a time: the stream id tells them apart.
//
// # Messages in
//
// From the connection: Open, *frame.Headers, *frame.Data, *frame.RSTStream,
// *streamfsm.Grow, Fail and Lost, Settle, Rest. From loopy, by way of the
// connection: *streamfsm.Rejected. From the application's side of the call:
// *streamfsm.Send, SendHeader, Finish, Consumed, Cancel.
//
// # Messages out
//
// To loopy: *frame.Outgoing and this stream's *frame.WindowUpdate. To the
// connection: Done, Credit, Starved, Returned, Reset. To the application: what
// Call hands over.
//
// # States
//
// Those of RFC 9113 5.1, in package streamfsm; a slot that serves nobody is
// closed.
//
// # Supervision
//
// A child of its connection. A panic is a bug of ours: the connection stops the
// actor, resets the stream with INTERNAL_ERROR and ends that one call; the slot
// is not used again.
package stream

import (
	"errors"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// Config is what all streams of one connection share.
type Config struct {
	Machine    streamfsm.Config
	Loopy      actors.Ref[any]
	Conn       Transport
	Handler    Handler      // server: starts a new call
	SendLimit  int          // octets an application may queue per stream before it waits
	SendBudget *flow.Budget // charged for what is queued of large messages; nil: none
	Threshold  int          // octets read before they are reported; at most reportBusy
	Low        *atomic.Bool // set while the connection's receive window runs low; nil: never
	Starving   *atomic.Bool // set while a stream of the connection waits for others to return growth; nil: never
	Clock      *Clock
}

// Actor serves the RPCs of one slot, one after the other.
type Actor struct {
	cfg   *Config
	slot  frame.SlotIndex
	m     *streamfsm.Machine
	fx    *streamfsm.Effects // nil: not stepped since the connection came to rest
	call  *Call
	id    frame.StreamID
	quota *flow.Quota
	self  actors.Ref[any]
	timer *actors.Timer // nil: no RPC had a deadline yet
	timed bool          // the timer is set
	state atomic.Uint32 // the machine's, published for inspection
}

// New makes the actor of a slot.
func New(cfg *Config, slot frame.SlotIndex) *Actor {
	mc := cfg.Machine
	mc.Slot = slot
	return &Actor{cfg: cfg, slot: slot, m: streamfsm.New(mc), quota: flow.NewQuota(cfg.SendLimit, cfg.SendBudget)}
}

// ProbeState implements actors.View.
func (a *Actor) ProbeState() string { return streamfsm.State(a.state.Load()).String() }

// ProbeDetail implements actors.View.
func (a *Actor) ProbeDetail() any { return nil }

func (a *Actor) start(ctx actor.Context) {
	a.self = actors.Self[any](ctx)
	a.self.Probe().SetView(a)
}

// Receive implements actor.Actor.
func (a *Actor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Open:
		a.open(m)
	case *Frames:
		a.frames(m)
	case *frame.Headers:
		a.headers(m)
	case *streamfsm.Send:
		a.step(m)
		sends.Put(m)
	case *streamfsm.Consumed:
		a.step(m)
		consumes.Put(m)
	case *frame.Data, *frame.RSTStream, *streamfsm.Finish, *streamfsm.SendHeader,
		*streamfsm.Grow, *streamfsm.Cancel, *streamfsm.Fail, *streamfsm.Lost, *streamfsm.Rejected:
		a.step(m)
	case *Settle:
		a.settle()
	case *Rest:
		a.rest()
	case *tick:
		a.tick(m)
	case *actor.Started:
		a.start(ctx)
	case *actor.Stopping:
		a.stopping()
	case *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

// stopping: the connection goes, and nobody will step the machine any more.
func (a *Actor) stopping() {
	if a.timer != nil {
		a.timer.Close()
	}
	a.Abort(codes.Unavailable, a.self.Probe().Path()+": the connection was stopped")
}

// open starts a client's RPC in this slot.
func (a *Actor) open(m *Open) {
	c := m.Call
	a.call, a.id = c, m.ID
	c.bind(a.self, a.slot, m.ID, a.quota, a.cfg)
	first, unary := c.First, c.Unary
	c.First = nil
	c.event = streamfsm.Open{
		StreamID: m.ID, Slot: a.slot, Header: &c.Request,
		Payload: first, EndStream: c.FirstEnds, Unary: c.Unary, Deadline: c.Deadline,
	}
	a.step(&c.event)
	if !unary {
		c.signal() // WaitOpened
	}
}

// headers begins a server's RPC, or goes to the one that runs.
func (a *Actor) headers(m *frame.Headers) {
	a.admit(m)
	a.step(m)
}

// admit makes room for a server's new RPC.
func (a *Actor) admit(m *frame.Headers) {
	if a.cfg.Machine.Role == streamfsm.Server && m.StreamID > a.id {
		a.id = m.StreamID
		a.call = newServed()
		a.call.transport = a.cfg.Conn
		a.m.Into(&a.call.In)
		a.call.bind(a.self, a.slot, a.id, a.quota, a.cfg)
	}
}

// frames steps on what came together and performs once. A breach is performed
// before the next step: what follows may be another stream's.
func (a *Actor) frames(m *Frames) {
	now := a.cfg.Clock.Now()
	for _, f := range m.List[:m.N] {
		if h, ok := f.(*frame.Headers); ok {
			a.admit(h)
		}
		if err := a.m.Step(f, now, a.effects()); err != nil {
			a.perform()
			a.breach(err)
		}
	}
	a.perform()
	m.free()
}

// effects is what the machine steps with.
func (a *Actor) effects() *streamfsm.Effects {
	if a.fx == nil {
		a.fx = new(streamfsm.Effects)
	}
	return a.fx
}

// rest gives back what is only of use while something happens.
func (a *Actor) rest() {
	a.fx = nil
	if a.timer != nil && !a.timed {
		a.timer.Close()
		a.timer = nil
	}
}

// step is the one way anything happens to an RPC.
func (a *Actor) step(ev streamfsm.Event) {
	err := a.m.Step(ev, a.cfg.Clock.Now(), a.effects())
	a.perform()
	if err != nil {
		a.breach(err)
	}
}

// breach passes the peer's fault on: the machine has reset the stream already,
// or the whole connection is to answer for it.
func (a *Actor) breach(err error) {
	var ce *frame.ConnError
	if errors.As(err, &ce) {
		a.cfg.Conn.Tell(&Broken{Err: ce})
		return
	}
	a.cfg.Conn.Tell(&Reset{ID: a.id})
}

func (a *Actor) settle() {
	if a.call == nil {
		return
	}
	if n := a.call.settle(); n > 0 {
		a.step(&streamfsm.Consumed{StreamID: a.id, N: n})
	}
}
