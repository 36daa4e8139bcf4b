// Package conn holds one socket as three actors: the connection, its reader and
// its loopy writer, with the streams as the connection's further children; and
// the listener that accepts sockets.
//
// # Role
//
// The connection actor owns the stream table, settings, ping, GOAWAY, the
// receive window and the flood budgets, all of them in its machine (connfsm).
// It routes frames to streams and spawns a stream actor when a slot is used for
// the first time.
//
// # Messages in
//
// From the reader: up, *frame.Batch, quiet, readEnded. From loopy: flushed, writeEnded,
// shut. From streams: *stream.Done, *stream.Credit, *stream.Starved,
// *stream.Returned, *stream.Reset. From applications: *stream.OpenCall,
// *stream.CancelCall. From the parent: Drain, Spill, Close.
//
// # Messages out
//
// To the parent: Ready, Crowded, GoAway, Down. To loopy: frame.Control, *frame.Grant,
// *outbound.PeerSettings, socket, finish. To streams: Open, their frames,
// *streamfsm.Grow, *streamfsm.Fail, *streamfsm.Lost, Settle. To the reader: begin, forget.
//
// # States
//
// Those of connfsm, from handshake to closed.
//
// # Supervision
//
// Never restarted: its PID is an epoch (law 5). A stream that panics is stopped
// and its call fails; a reader or loopy that panics takes the connection with
// it, and the parent decides what follows.
package conn

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/conn/outbound"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream"
)

// conn is the connection actor.
type conn struct {
	first    *reader // until it is spawned
	rules    *rules
	parent   actors.Ref[any]
	table    *actors.Table
	onUp     func(*stream.ConnInfo)
	onDown   func(*stream.ConnInfo, error)
	m        *connfsm.Machine
	fx       *connfsm.Effects // nil: not stepped since it came to rest
	self     actors.Ref[any]
	reader   actors.Ref[any]
	loopy    actors.Ref[any]
	slots    []slot
	streams  stream.Config
	edge     *edge
	credits  credits
	clock    *stream.Clock
	timer    *actors.Timer
	leaving  atomic.Int32 // streams whose last frame is being written, or was, and whose end is not known here
	low      atomic.Bool  // the receive window was low when last looked at
	alone    atomic.Bool  // at most one stream is live
	starving atomic.Bool  // streams wait for others to return growth
	nc       net.Conn
	crowded  bool  // the parent knows that calls wait here
	cause    error // why the connection ended
	began    time.Time
	code     codes.Code // what RPCs get when we close; 0: UNAVAILABLE
	wasUp    bool
	downed   bool
	shut     bool
	spare    struct { // reused events: stepping on them must not allocate
		open   connfsm.Open
		done   connfsm.Done
		credit connfsm.Credit
		wrote  connfsm.Wrote
	}
}

// Receive implements actor.Actor.
func (c *conn) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *frame.Batch:
		c.inbound(ctx, m)
	case *stream.OpenCall:
		c.spare.open.Ref = m.Call
		c.step(ctx, &c.spare.open)
	case *flushed:
		c.flushed(ctx, m)
	case *stream.Done:
		c.done(ctx, m.Slot, m.ID, m.Owed)
		m.Free()
	case *stream.Credit:
		c.spare.credit = connfsm.Credit{Slot: m.Slot, ID: m.ID, N: m.N}
		c.step(ctx, &c.spare.credit)
		m.Free()
	case *stream.Starved:
		c.starving.Store(true) // before the budget is asked again: what is returned from here on is heard of
		c.step(ctx, &connfsm.Starved{Slot: m.Slot, ID: m.ID, N: m.N})
	case *stream.Returned:
		c.step(ctx, &connfsm.Returned{})
	case *stream.CancelCall:
		c.cancel(ctx, m)
	case *stream.Reset:
		c.step(ctx, &connfsm.Reset{ID: m.ID})
	case *streamFailed:
		c.failStream(m.slot, m.err)
	case *stream.Broken:
		c.step(ctx, transportDown(m.Err))
	case *tick:
		c.tick(ctx, m)
	case *up:
		c.up(ctx, m)
	case *Drain:
		c.step(ctx, &connfsm.Drain{Reason: m.Reason})
	case *Spill:
		c.step(ctx, &connfsm.Spill{})
	case *Close:
		c.code = m.Code
		c.step(ctx, &connfsm.Close{Reason: m.Reason, Err: m.Err})
	case *readEnded:
		c.step(ctx, transportDown(m.err))
	case *writeEnded:
		c.step(ctx, transportDown(m.err))
	case *quiet:
		c.rest()
	case *shut:
		c.shut = true
		c.stopIfOver(ctx)
	case *actor.Started:
		c.start(ctx)
	case *actor.Stopping:
		c.stopping()
	case *actor.Stopped:
		c.stopped()
	case *actor.Terminated, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

// start spawns the two actors that own the socket's directions.
func (c *conn) start(ctx actor.Context) {
	c.self = actors.Self[any](ctx)
	c.edge.tell = c.self
	c.self.Probe().SetState("handshake")
	c.timer = actors.NewTimer(c.fire)
	lo := &loopy{
		rules: c.rules, budget: c.streams.SendBudget, conn: c.self, leaving: &c.leaving, alone: &c.alone, clock: c.clock,
		q: outbound.New(outbound.Config{Client: c.rules.role == connfsm.Client}, frame.NewEncoder()),
	}
	c.loopy = actors.MustSpawn[any](ctx, "loopy", loopySpec(c.table), lo)
	lo.self = c.loopy
	c.streams.Loopy = c.loopy
	rd := c.first
	c.first = nil
	rd.conn, rd.credits = c.self, &c.credits
	c.reader = actors.MustSpawn[any](ctx, "reader", readerSpec(c.table), rd)
	rd.self = c.reader
	c.edge.loopy.Store(lo)
	c.reader.Tell(&begin{})
}

func (c *conn) up(ctx actor.Context, m *up) {
	c.nc = m.nc
	info := &stream.ConnInfo{Path: c.self.Probe().Path(), Local: m.nc.LocalAddr(), Remote: m.nc.RemoteAddr(), AuthInfo: m.auth}
	c.edge.info.Store(info)
	if c.onUp != nil {
		c.onUp(info)
	}
	if c.downed { // it was closed meanwhile: whoever counts hears of both
		if c.onDown != nil {
			c.onDown(info, c.cause)
		}
		_ = m.nc.Close()
		return
	}
	c.wasUp = true
	c.loopy.Tell(&socket{nc: m.nc})
	c.step(ctx, &connfsm.Start{Since: c.began})
}

// inbound steps on everything one socket read brought.
func (c *conn) inbound(ctx actor.Context, b *frame.Batch) {
	now := time.Now()
	c.clock.Set(now)
	for _, f := range b.Frames {
		if _, ok := f.(*frame.Settings); ok {
			c.perform(ctx) // what came before obeys the settings as they were (ADR 9)
		}
		_ = c.m.Step(f, now, c.effects()) // the machine has turned a breach into effects
	}
	c.perform(ctx)
	b.Free()
	c.credits.give()
	c.relieve()
}

// effects is what the machine steps with.
func (c *conn) effects() *connfsm.Effects {
	if c.fx == nil {
		c.fx = new(connfsm.Effects)
	}
	return c.fx
}

// step is the one way anything else happens to the connection.
func (c *conn) step(ctx actor.Context, ev connfsm.Event) {
	_ = c.m.Step(ev, c.clock.Read(), c.effects())
	c.perform(ctx)
}

func (c *conn) flushed(ctx actor.Context, m *flushed) {
	now := c.clock.Now()
	if m.dataFrames+m.headerBlocks > 0 {
		c.spare.wrote = connfsm.Wrote{DataFrames: m.dataFrames, Headers: m.headerBlocks}
		_ = c.m.Step(&c.spare.wrote, now, c.effects())
		c.perform(ctx)
	}
	for _, r := range m.rejected {
		c.reject(r)
	}
	for _, e := range m.finished {
		c.done(ctx, e.Slot, e.ID, 0)
	}
	c.leaving.Add(-int32(len(m.finished)))
	m.free()
}

func (c *conn) done(ctx actor.Context, s frame.SlotIndex, id frame.StreamID, owed int) {
	c.forgetPartial(s, id)
	c.spare.done = connfsm.Done{Slot: s, ID: id, Owed: owed}
	_ = c.m.Step(&c.spare.done, c.clock.Now(), c.effects())
	c.perform(ctx)
	c.stopIfOver(ctx)
}

func (c *conn) tick(ctx actor.Context, m *tick) {
	if !c.timer.Current(m.gen) {
		return
	}
	c.step(ctx, &connfsm.Tick{})
}

func transportDown(err error) connfsm.Event { return &connfsm.TransportDown{Err: err} }

// stopping closes the socket: the reader may be blocked in it. Calls that still
// wait for a stream are answered here, the others by their streams.
func (c *conn) stopping() {
	c.timer.Close()
	c.credits.close()
	c.edge.down.Store(true)
	if c.nc != nil {
		_ = c.nc.Close()
	}
	if !c.downed {
		c.cut()
	}
	c.downed = true          // who stopped us knows
	fx := &connfsm.Effects{} // that at hand may be of a step that panicked
	_ = c.m.Step(&connfsm.Close{Reason: errStopped.Error()}, time.Now(), fx)
	for _, r := range fx.Refused {
		c.refused(r)
	}
	c.m.Leave()
}

// stopped: no child is left either. What they could not give back, because they
// panicked or because it was still on its way to them, goes back here.
func (c *conn) stopped() {
	for _, b := range [...]*flow.Budget{c.m.Budget(), c.m.Growth()} {
		if b != nil {
			b.Refund(int(b.Used()))
		}
	}
	if b := c.streams.SendBudget; b != nil {
		b.Shift(-b.Used())
	}
}

var errStopped = errors.New("the connection was stopped")
