package conn

import (
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/stream"
)

// slot is a reusable place for a stream and the actor that serves it.
type slot struct {
	ref       actors.Ref[any]
	st        *stream.Actor
	partial   frame.StreamID // the reader may hold a partial message of this stream
	successor int            // how many actors of this slot have panicked
}

// slotAt makes sure that a slot has its actor. Machines give out slots from 0
// up, so the table grows by one at a time.
func (c *conn) slotAt(ctx actor.Context, i frame.SlotIndex) *slot {
	for int(i) >= len(c.slots) {
		c.slots = append(c.slots, slot{})
	}
	s := &c.slots[i]
	if !s.ref.Valid() {
		c.spawnStream(ctx, i, s)
	}
	return s
}

func (c *conn) spawnStream(ctx actor.Context, i frame.SlotIndex, s *slot) {
	name := "stream-" + strconv.Itoa(int(i))
	if s.successor > 0 {
		name += "." + strconv.Itoa(s.successor)
	}
	s.st = stream.New(&c.streams, i)
	ref, err := actors.Spawn[any](ctx, name, streamSpec(c.table), s.st)
	if err != nil { // the one before has not quite stopped
		s.successor++
		c.spawnStream(ctx, i, s)
		return
	}
	s.ref = ref
}

// rest gives back what a connection that is quiet does not need: the actors of
// slots that serve nobody, which cost as much as the connection itself.
func (c *conn) rest() {
	last := -1
	for i := range c.slots {
		s := &c.slots[i]
		if c.m.Live(frame.SlotIndex(i)) {
			last = i
			s.ref.Tell(theRest)
			continue
		}
		s.ref.Stop()
		s.ref, s.st = actors.Ref[any]{}, nil
		if s.successor > 0 {
			last = i
		}
	}
	c.slots = slices.Clip(slices.Clone(c.slots[:last+1]))
	c.m.Shrink()
	c.fx = nil
	c.loopy.Tell(theQuiet)
}

// route passes a frame to its stream. What arrives for one whose actor has
// panicked is dropped: the next actor of the slot serves the next stream.
func (c *conn) route(ctx actor.Context, r *connfsm.Route) {
	if !r.New && (int(r.Slot) >= len(c.slots) || !c.slots[r.Slot].ref.Valid()) {
		frame.Discard(r.Frame)
		return
	}
	s := c.slotAt(ctx, r.Slot)
	s.note(r)
	s.ref.Tell(r.Frame)
}

// routeAll passes frames to their streams. Those of one stream that follow each
// other travel as one message: a whole unary response does.
func (c *conn) routeAll(ctx actor.Context, rs []connfsm.Route) {
	for i := 0; i < len(rs); {
		n := 1
		for n < stream.MaxFrames && i+n < len(rs) && rs[i+n].Slot == rs[i].Slot && rs[i+n].ID == rs[i].ID {
			n++
		}
		if n == 1 {
			c.route(ctx, &rs[i])
		} else {
			c.routeRun(ctx, rs[i:i+n])
		}
		i += n
	}
}

func (c *conn) routeRun(ctx actor.Context, rs []connfsm.Route) {
	m := stream.NewFrames()
	for i := range rs {
		m.Add(rs[i].Frame)
	}
	r := &rs[0]
	if !r.New && (int(r.Slot) >= len(c.slots) || !c.slots[r.Slot].ref.Valid()) {
		m.Discard()
		return
	}
	s := c.slotAt(ctx, r.Slot)
	for i := range rs {
		s.note(&rs[i])
	}
	s.ref.Tell(m)
}

// note keeps in mind whether the reader may hold a partial message of the
// slot's stream: it drops that by itself when the peer ends the stream.
func (s *slot) note(r *connfsm.Route) {
	switch f := r.Frame.(type) {
	case *frame.Headers:
		s.partial = r.ID
		if f.EndStream {
			s.partial = 0
		}
	case *frame.Data:
		if f.EndStream {
			s.partial = 0
		}
	case *frame.RSTStream:
		s.partial = 0
	}
}

// forgetPartial tells the reader of a stream that ended otherwise.
func (c *conn) forgetPartial(i frame.SlotIndex, id frame.StreamID) {
	if int(i) < len(c.slots) && c.slots[i].partial == id {
		c.slots[i].partial = 0
		c.reader.Tell(&forget{id: id})
	}
}

// relieve asks all streams to report what their applications have read when
// the receive window runs low: each may hold back a little, and many of them
// together would stall the connection.
func (c *conn) relieve() {
	low := c.m.WindowLow()
	if c.low.Load() == low {
		return
	}
	c.low.Store(low) // before Settle: whoever reads after it reports by itself
	if !low {
		return
	}
	for i := range c.slots {
		if c.slots[i].ref.Valid() {
			c.slots[i].ref.Tell(theSettle)
		}
	}
}

var (
	theSettle = &stream.Settle{}
	theRest   = &stream.Rest{}
)
