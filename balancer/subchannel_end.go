package balancer

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/conn"
)

// This file is how a subchannel lets go of its connections, and ends.

// drainAll lets go of all connections that are up.
func (s *subchannel) drainAll(why string) {
	s.scale.close()
	s.unwatch()
	for _, c := range s.up {
		c.Drain(why)
	}
	s.up = nil
}

// abandon ends the attempt that is under way.
func (s *subchannel) abandon(why string) {
	s.endAttempt()
	if s.current.Valid() {
		s.current.Drain(why)
		s.current = conn.Ref{}
	}
	if len(s.up) > 0 {
		s.drainAll(why)
	}
}

// remove ends the subchannel gently.
func (s *subchannel) remove(ctx actor.Context) {
	if s.state != connectivity.Shutdown {
		s.abandon("address no longer used")
		s.timer.Stop()
		s.become(connectivity.Shutdown, nil)
	}
	s.stopIfOver(ctx)
}

// shutdown ends it now, also when it was to end gently.
func (s *subchannel) shutdown(ctx actor.Context, m *Stop) {
	s.endAttempt()
	s.unwatch()
	s.scale.close()
	s.timer.Stop()
	s.current, s.up = conn.Ref{}, nil
	for _, c := range s.conns {
		c.CloseWith(codes.Canceled, m.Reason)
	}
	if s.state != connectivity.Shutdown {
		s.become(connectivity.Shutdown, nil)
	}
	s.stopIfOver(ctx)
}

func (s *subchannel) gone(ctx actor.Context, id string) {
	if r, ok := s.conns[id]; ok {
		l := r.Load()
		s.edge.usage.past.Add(uint64(l.Begun - l.AsideBegun))
		delete(s.conns, id)
		s.account()
	}
	s.stopIfOver(ctx)
}

// account shows which connections there are, for those who look for idleness.
func (s *subchannel) account() {
	live := make([]conn.Ref, 0, len(s.conns))
	for _, r := range s.conns {
		live = append(live, r)
	}
	s.edge.usage.live.Store(&live)
}

// stopIfOver stops the actor behind its last connection: stopping earlier would
// cut them short, and their RPCs would not hear why.
func (s *subchannel) stopIfOver(ctx actor.Context) {
	if s.state == connectivity.Shutdown && len(s.conns) == 0 {
		ctx.Stop(ctx.Self())
	}
}
