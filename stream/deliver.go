package stream

import (
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// The actor's side of a Call. Only the actor of the call's stream (or, for a
// call that never got one, the connection's) calls these, one at a time.

// bind gives the call its stream.
func (c *Call) bind(ref actors.Ref[any], slot frame.SlotIndex, id frame.StreamID, q *flow.Quota, cfg *Config) {
	c.mu.Lock()
	c.stream, c.slot, c.id, c.quota = ref, slot, id, q
	c.threshold, c.low = cfg.Threshold, cfg.Low
	c.opened = true
	c.mu.Unlock()
}

// deliver hands what a step brought to the application. A unary call is woken
// once, at its end.
func (c *Call) deliver(fx *streamfsm.Effects, m *streamfsm.Machine) {
	c.mu.Lock()
	if fx.Header != nil {
		c.block, c.gotHeader = fx.Header, true
		c.response = *m.Response()
		c.response.Fields = nil // the machine's own; the block has them
		c.headerNeverComes()
	}
	for _, msg := range fx.Messages {
		if c.canceled {
			msg.Buf.Release()
			continue
		}
		c.inbox = append(c.inbox, msg)
	}
	if fx.RemoteEnd {
		c.ended = true
	}
	var cancel Canceler
	if fx.Outcome != nil {
		cancel = c.conclude(fx.Outcome)
	}
	wake := !c.Unary || c.over || c.server
	err := c.cancelErr
	c.mu.Unlock()
	if wake {
		c.signal()
	}
	if cancel != nil {
		cancel.Cancel(err)
	}
}

// conclude records the RPC's end. An application that cancelled keeps the
// status it has seen. The lock is held.
func (c *Call) conclude(o *streamfsm.Outcome) (cancel Canceler) {
	if c.server {
		st := o.Status
		if st == nil {
			st = status.New(o.Code, "")
		}
		c.recvErr = st.Err()
		if o.Fault != nil {
			return nil // the request is broken; the handler may still answer
		}
		c.cancelErr = c.recvErr
		cancel, c.canceler = c.canceler, nil
		return cancel
	}
	if c.over {
		if o.Trailer != nil {
			o.Trailer.Free()
		}
		return nil
	}
	c.over = true
	c.outcome = *o
	c.headerNeverComes()
	return nil
}

// owes says how much of what was delivered the application is still going to
// read: nothing, once it has let go or was only waiting for the end.
func (c *Call) owes(delivered int) int {
	if delivered == 0 || c.Unary {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.released || c.canceled {
		return 0
	}
	return delivered
}

// pin keeps the call out of the pool, because loopy holds its header block yet.
func (c *Call) pin() {
	c.mu.Lock()
	c.pinned = true
	c.mu.Unlock()
}

// part lets go of the call. An application that has let go before pays nothing
// any more: what it owes is returned.
func (c *Call) part(owed int) (unpaid int) {
	c.mu.Lock()
	c.parted = true
	last := c.released
	if last {
		unpaid = owed
	} else {
		c.owed = owed
	}
	c.mu.Unlock()
	if last {
		c.recycle()
	}
	return unpaid
}

// settle takes what the application has read and not reported yet.
func (c *Call) settle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.unread
	c.unread = 0
	return n
}

// Refuse ends a client's call that never got a stream. The connection calls it.
func (c *Call) Refuse(o *streamfsm.Outcome) {
	c.mu.Lock()
	c.conclude(o)
	c.parted = true
	last := c.released
	c.mu.Unlock()
	c.signal()
	if last {
		c.recycle()
	}
}

// abort ends the call of an actor that is no more.
func (c *Call) abort(st *status.Status) {
	o := &streamfsm.Outcome{Status: st, Code: st.Code()}
	c.mu.Lock()
	cancel := c.conclude(o)
	c.parted, c.pinned = true, true
	last := c.released
	err := c.cancelErr
	c.mu.Unlock()
	c.signal()
	if cancel != nil {
		cancel.Cancel(err)
	}
	if last {
		c.recycle()
	}
}
