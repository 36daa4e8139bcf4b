package conn

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/stream"
)

// HandleFailure implements actor.SupervisorStrategy: the connection decides for
// its children, on its own turn.
func (c *conn) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	if i, ok := c.slotOf(child); ok {
		c.streamFailed(sup, i, child, reason)
		return
	}
	// Framing or HPACK state is unknown: the connection is lost, and whoever
	// supervises it shall know that it was a panic.
	sup.EscalateFailure(reason, child)
}

func (c *conn) slotOf(child *actor.PID) (int, bool) {
	for i := range c.slots {
		if p := c.slots[i].ref.PID(); p != nil && p.Id == child.Id {
			return i, true
		}
	}
	return 0, false
}

// streamFailed ends one RPC: RST_STREAM(INTERNAL_ERROR), the call gets
// Internal, the slot gets a new actor when it is used again.
func (c *conn) streamFailed(sup actor.Supervisor, i int, child *actor.PID, reason any) {
	s := &c.slots[i]
	id := s.st.Abort(codes.Internal, fmt.Sprintf("%s: panic: %v", child.Id, reason))
	sup.StopChildren(child)
	s.ref, s.st = actors.Ref[any]{}, nil
	s.successor++
	if c.starving.Load() {
		c.self.Tell(&stream.Returned{}) // the actor has, perhaps
	}
	if id != 0 {
		o := frame.NewOutgoing()
		o.StreamID, o.Slot = id, frame.SlotIndex(i)
		o.Reset, o.Code, o.Last = true, frame.InternalError, true
		c.loopy.Tell(o)
	}
}
