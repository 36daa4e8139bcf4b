package stream

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// perform carries out what the machine asked for, in the order of the fields.
func (a *Actor) perform() {
	fx := a.effects()
	lastSent := false
	if len(fx.Transition) > 0 {
		a.state.Store(uint32(a.m.State()))
	}
	if fx.Drop {
		a.cfg.Loopy.Tell(&frame.Drop{StreamID: a.id, Slot: a.slot})
	}
	for _, o := range fx.Out {
		lastSent = lastSent || o.Last
		a.emit(o)
	}
	for _, f := range fx.Control {
		a.cfg.Loopy.Tell(f)
	}
	if fx.Credit > 0 && !a.doneSays(fx) {
		a.cfg.Conn.Tell(newCredit(a.slot, fx.CreditID, fx.Credit))
	}
	if fx.Starved > 0 {
		a.cfg.Conn.Tell(&Starved{Slot: a.slot, ID: a.id, N: fx.Starved})
	}
	if fx.Returned && a.cfg.Starving != nil && a.cfg.Starving.Load() {
		a.cfg.Conn.Tell(theReturned)
	}
	if a.call != nil {
		a.tellCall(fx, lastSent)
	}
	fx.Reset()
}

// doneSays says that a credit needs no message of its own: with Done the
// connection takes back all that the stream held. Much of it must not wait for
// what loopy still has to write, nor anything at all when the window runs low.
func (a *Actor) doneSays(fx *streamfsm.Effects) bool {
	return fx.Done && fx.CreditID == a.id && fx.Credit <= reportWaiting && (a.cfg.Low == nil || !a.cfg.Low.Load())
}

// tellCall performs what concerns the application.
func (a *Actor) tellCall(fx *streamfsm.Effects, lastSent bool) {
	if fx.Accept != nil {
		a.accept()
	}
	if fx.Header != nil || len(fx.Messages) > 0 || fx.RemoteEnd || fx.Outcome != nil {
		a.call.deliver(fx, a.m)
	}
	if fx.Accept != nil {
		c := a.call
		fx.Accept.Free()
		a.cfg.Handler.Serve(c)
	}
	if fx.Done {
		a.done(fx.Owed, lastSent)
	}
}

// emit posts to loopy and keeps count of what an application has queued.
func (a *Actor) emit(o *frame.Outgoing) {
	o.Quota = a.quota
	n := 1
	if o.Payload != nil {
		n += len(o.Payload.B)
	}
	a.quota.Enqueued(n)
	a.cfg.Loopy.Tell(o)
}

func (a *Actor) accept() {
	a.setDeadline(a.fx.Deadline)
}

// done gives the slot back, exactly once per RPC. If loopy still holds frames of
// the stream it drops them and reports the slot; if this step sent the last of
// them it was told so already. What the application has not read is then no
// longer held against the connection's window.
func (a *Actor) done(owed int, lastSent bool) {
	c := a.call
	a.call = nil
	a.clearDeadline()
	switch {
	case lastSent:
		c.part(0)
	case a.quota.Drained():
		// The connection hears of the debt before the application can pay it.
		owed = c.owes(owed)
		a.cfg.Conn.Tell(newDone(a.slot, a.id, owed))
		if left := c.part(owed); left > 0 {
			a.cfg.Conn.Tell(newCredit(a.slot, a.id, left))
		}
	default:
		c.pin()
		c.part(0)
		o := frame.NewOutgoing()
		o.StreamID, o.Slot = a.id, a.slot
		o.Reset, o.Code, o.Last = true, frame.NoError, true
		a.emit(o)
	}
}

// Abort ends the slot's call when its machine will not be stepped any more, and
// says which stream it was; 0 when there was none. The connection calls it for
// an actor that has panicked and is suspended.
func (a *Actor) Abort(code codes.Code, message string) frame.StreamID {
	a.m.Abandon()
	c := a.call
	if c == nil {
		return 0
	}
	a.call = nil
	c.abort(status.New(code, message))
	a.quota.Clear() // loopy may be gone, too: nobody else would wake the sender
	return a.id
}
