package callboard

import (
	"errors"

	"github.com/callboard-rpc/callboard/internal/attempt"
	"github.com/callboard-rpc/callboard/stream"
)

// connect waits for a stream on a connection, on another if one refuses.
// transparent says that the RPC was on one before.
func (s *clientStream) connect(transparent bool) *try {
	for {
		t := &try{Start: attempt.Start{Transparent: transparent}}
		t.open(s.ctx, s)
		if !t.failed.Unsent {
			return t
		}
		t.end(t.err)
		transparent = true
	}
}

// again sends an RPC without a policy on another connection, after from has
// ended and the peer says that it never looked at it (GOAWAY below its id,
// REFUSED_STREAM). It does so once, and nobody notices (gRFC A6, transparent
// retry). It says whether there is an attempt to go on with.
//
// Either direction may find out that it is necessary. The one that is second
// waits for the first; the application's messages are kept meanwhile.
func (s *clientStream) again(from *try) bool {
	r := &s.relay
	r.mu.Lock()
	for r.moving && r.try == from {
		change := r.wait()
		r.mu.Unlock()
		<-change // whoever moves it ends with the RPC's context
		r.mu.Lock()
	}
	if r.try != from {
		r.mu.Unlock()
		return true // the other direction was here first
	}
	if s.race != nil || r.committed || from.err != nil || !endOf(from.call).Refused || s.ctx.Err() != nil {
		r.mu.Unlock()
		return false
	}
	r.moving, r.direct = true, false
	r.mu.Unlock()

	from.conclude(s.cc)
	next := s.connect(true)
	if !s.moved(next) {
		next.giveUp(statusAhead)
		return false
	}
	if s.ctx.Err() != nil {
		s.canceled() // nobody else may be left to do it
	}
	return true
}

// moved makes next the attempt that is the RPC, and says whether the RPC still
// wants one.
func (s *clientStream) moved(next *try) bool {
	r := &s.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moving = false
	if r.over {
		r.announce()
		return false
	}
	r.commit(next) // there is no second time
	next.pushing = next.err == nil && (len(r.kept) > 0 || r.half)
	r.settle(next)
	if next.pushing {
		go s.push(next)
	}
	return true
}

// push sends t what was kept, and what follows until the application sends to it
// directly.
func (s *clientStream) push(t *try) {
	fine := false
	defer func() {
		if !fine {
			defer s.cc.contain("stats handler or OnFinish", s.begin.method)
			s.relay.stopPushing(t)
			s.abort(errPanicked)
		}
	}()
	defer s.cc.contain("stats handler", s.begin.method)
	for {
		m, end, more := s.relay.take(t)
		switch {
		case !more:
			fine = true
			return
		case m.wire == nil:
			t.call.CloseSend()
			continue
		}
		if err := t.call.Send(m.wire, end, t.ctx.Done()); err != nil {
			if errors.Is(err, stream.ErrDone) {
				m.wire.Release()
			}
			s.relay.stopPushing(t)
			fine = true
			return
		}
		t.stats.sentPayload(m.message, m.sizes)
	}
}
