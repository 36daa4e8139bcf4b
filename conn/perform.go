package conn

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/conn/outbound"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// perform carries out what the machine asked for, in the order of the fields.
func (c *conn) perform(ctx actor.Context) {
	fx := c.effects()
	if alone := c.m.Streams() <= 1; c.alone.Load() != alone {
		c.alone.Store(alone)
	}
	c.edge.explain(fx.GoAway, fx.Closing) // before the RPCs hear: they tell their callers
	if fx.GoAway != nil || fx.Closing != nil {
		c.edge.down.Store(true) // likewise: what ends from here on does so with its connection
	}
	for _, t := range fx.Transition {
		c.self.Probe().Become(t.From, t.To, t.On)
	}
	if p := fx.Peer; p != nil {
		if p.LeastTableSize < p.HeaderTableSize {
			c.obey(p, p.LeastTableSize)
		}
		c.obey(p, p.HeaderTableSize)
	}
	for _, f := range fx.Control {
		c.loopy.Tell(f)
	}
	for _, w := range fx.Windows {
		c.loopy.Tell((*frame.Grant)(w))
	}
	c.routeAll(ctx, fx.Route)
	for _, f := range fx.Failed {
		c.failStream(f.Slot, f.Err)
	}
	for _, g := range fx.Grow {
		c.grow(g)
	}
	for _, f := range fx.Free {
		c.free(f)
	}
	for _, o := range fx.Opened {
		c.opened(ctx, o)
	}
	for _, r := range fx.Refused {
		c.refused(r)
	}
	for _, g := range fx.Gone {
		c.gone(g)
	}
	c.report(fx)
	if !fx.Timer.IsZero() {
		c.arm(fx.Timer)
	}
	if fx.Closing != nil {
		c.close(fx.Closing)
	}
	c.account(fx)
	fx.Reset()
	if c.starving.Load() && !c.m.Starving() {
		c.starving.Store(false)
	}
}

// obey tells loopy the peer's settings, with an HPACK table of that size.
func (c *conn) obey(p *connfsm.PeerSettings, tableSize uint32) {
	c.loopy.Tell(&outbound.PeerSettings{
		MaxFrameSize: p.MaxFrameSize, InitialWindow: p.InitialWindow,
		HeaderTableSize: tableSize, MaxHeaderListSize: p.MaxHeaderListSize,
	})
}

func (c *conn) report(fx *connfsm.Effects) {
	for _, r := range fx.Reports {
		switch r {
		case connfsm.Ready:
			c.edge.ready.Store(true)
			m := &Ready{Ref: c.ref()}
			c.self.Probe().Publish(m)
			c.parent.Tell(m)
		case connfsm.Draining:
			c.edge.down.Store(true)
			m := &GoAway{Ref: c.ref(), Frame: fx.GoAway}
			c.self.Probe().Publish(m)
			c.parent.Tell(m)
		case connfsm.Down:
			c.down(fx.Closing)
		case connfsm.NoReport:
		}
	}
}

func (c *conn) down(closing *connfsm.Closing) {
	if c.downed {
		return
	}
	c.downed = true
	if closing != nil {
		c.cause = closing.Err
	}
	c.edge.down.Store(true)
	if c.onDown != nil && c.wasUp {
		c.onDown(c.edge.info.Load(), c.cause)
	}
	m := &Down{Ref: c.ref(), Err: c.cause, Ready: c.edge.ready.Load()}
	c.self.Probe().Publish(m)
	c.parent.Tell(m)
}

// close lets loopy flush what the machine said last, but not for long.
func (c *conn) close(cl *connfsm.Closing) {
	linger := cl.Linger
	if linger <= 0 {
		linger = closeLinger
	}
	c.down(cl)
	// Edge: the socket. A peer that does not read must not keep it open.
	if nc := c.nc; nc != nil {
		due := time.Now().Add(linger)
		c.edge.loopy.Load().hurry.Store(&due)
		_ = nc.SetWriteDeadline(due)
	}
	c.loopy.Tell(&finish{})
	if !c.wasUp { // loopy has no socket: nobody else would close it
		if c.nc != nil {
			_ = c.nc.Close()
		}
	}
}

// stopIfOver stops the actor when nothing of the connection is left: handlers
// that still run need their streams to finish against.
func (c *conn) stopIfOver(ctx actor.Context) {
	if c.shut && c.m.Streams() == 0 {
		ctx.Stop(ctx.Self())
	}
}

// arm sets the timer. The machine asks only for what is earlier than what it
// asked for before.
func (c *conn) arm(at time.Time) { c.timer.Reset(time.Until(at)) }

// fire runs on the timer's goroutine.
func (c *conn) fire(gen uint64) { c.self.Tell(&tick{gen: gen}) }

func (c *conn) opened(ctx actor.Context, o connfsm.Opened) {
	call := o.Ref.(*stream.Call)
	c.slotAt(ctx, o.Slot).ref.Tell(call.OpenAs(o.Slot, o.ID))
}

func (c *conn) refused(r connfsm.Refused) {
	st := status.New(codes.Unavailable, c.self.Probe().Path()+": "+r.Reason)
	r.Ref.(*stream.Call).Refuse(&streamfsm.Outcome{Status: st, Code: codes.Unavailable, Unprocessed: true})
}

func (c *conn) gone(g connfsm.Gone) {
	code := g.Code
	if c.code != codes.OK && !g.Unprocessed {
		code = c.code
	}
	c.slots[g.Slot].ref.Tell(&streamfsm.Lost{
		StreamID: g.ID, Code: code, Message: c.self.Probe().Path() + ": " + g.Message, Unprocessed: g.Unprocessed,
	})
}

func (c *conn) reject(r outbound.Rejected) {
	if int(r.Slot) < len(c.slots) {
		c.slots[r.Slot].ref.Tell(&streamfsm.Rejected{StreamID: r.ID, Reason: r.Reason})
	}
}

// grow passes growth on. That of a stream whose actor has panicked goes back.
func (c *conn) grow(g connfsm.Grow) {
	if s := &c.slots[g.Slot]; s.ref.Valid() {
		s.ref.Tell(&streamfsm.Grow{StreamID: g.ID, N: g.N})
		return
	}
	c.m.Growth().Refund(g.N)
	c.self.Tell(&stream.Returned{})
}

// cancel goes to the call's stream, or takes its place in the queue away.
func (c *conn) cancel(ctx actor.Context, m *stream.CancelCall) {
	s, id, live := m.Target()
	switch {
	case !live:
	case s == frame.NoSlot:
		c.step(ctx, &connfsm.Withdraw{Ref: m.Call})
		m.Call.Refuse(&streamfsm.Outcome{Status: status.New(m.Code, m.Message), Code: m.Code})
	default:
		c.slots[s].ref.Tell(&streamfsm.Cancel{StreamID: id, Code: m.Code, Message: m.Message})
	}
}

// free gives back a frame that ends here.
func (c *conn) free(f frame.Frame) {
	if h, ok := f.(*frame.Headers); ok && !h.EndStream {
		// The reader has begun to assemble messages for a stream that is not.
		c.reader.Tell(&forget{id: h.StreamID})
	}
	frame.Discard(f)
}

// failStream resets one stream for a breach that was noticed above it.
func (c *conn) failStream(s frame.SlotIndex, err *frame.StreamError) {
	if int(s) < len(c.slots) && c.slots[s].ref.Valid() {
		c.slots[s].ref.Tell(&streamfsm.Fail{Err: err})
	}
}
