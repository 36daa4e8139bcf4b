package callboard

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/internal/attempt"
)

// run is the goroutine of one attempt: it sees it through until response headers
// come, or the end.
func (r *race) run(t *try) {
	fine := false
	defer func() {
		if fine {
			return
		}
		defer r.s.cc.contain("stats handler or OnFinish", r.s.begin.method)
		r.s.abort(errPanicked)
		if t.call != nil {
			t.giveUp(statusAhead)
		}
	}()
	defer r.s.cc.contain("stats handler or credentials", r.s.begin.method)
	r.follow(t)
	fine = true
}

func (r *race) follow(t *try) {
	t.open(t.ctx, r.s)
	if !r.opened(t) {
		t.giveUp(r.whyLost())
		return
	}
	if t.err == nil {
		go r.s.push(t)
		if t.call.WaitHeader(t.ctx.Done()) != nil && r.s.ctx.Err() == nil {
			st := contextStatus(t.ctx, "") // it has lost, or a stats handler has given it less time
			t.call.Cancel(st.Code(), st.Message())
		}
		if answered(t.call) {
			r.do(attempt.Headers{N: t.N})
			r.lose(t)
			return
		}
	}
	if r.s.ctx.Err() != nil {
		r.s.canceled()
	}
	if r.lose(t) || !r.retire(t) {
		return
	}
	ev := t.failed
	if t.err == nil {
		ev = endOf(t.call)
	}
	ev.N = t.N
	t.conclude(r.s.cc)
	mu := &r.s.relay.mu
	mu.Lock()
	r.leave(t.N)
	r.last = t
	o := r.step(ev)
	mu.Unlock()
	r.perform(o)
}

// opened notes that t has a call, and says whether it is wanted.
func (r *race) opened(t *try) bool {
	mu := &r.s.relay.mu
	mu.Lock()
	defer mu.Unlock()
	if t.lost {
		return false
	}
	if t.err != nil {
		return true
	}
	t.opened, t.pushing = true, true
	r.beginning()
	if r.winner == t {
		r.settle(t)
	}
	return true
}

// retire says whether the end of t is its goroutine's to deal with. It is the
// application's if t became the RPC without response headers, because the buffer
// was full. From here on it waits with that until the end is dealt with.
func (r *race) retire(t *try) bool {
	mu := &r.s.relay.mu
	mu.Lock()
	defer mu.Unlock()
	t.opened = false
	return r.s.relay.try != t
}

// lose ends an attempt that is given up, and says whether it is.
func (r *race) lose(t *try) bool {
	mu := &r.s.relay.mu
	mu.Lock()
	lost := t.lost
	mu.Unlock()
	if lost {
		t.giveUp(r.whyLost())
	}
	return lost
}

func (r *race) whyLost() *status.Status {
	if r.s.ctx.Err() != nil {
		return contextStatus(r.s.ctx, "")
	}
	return statusAhead
}

// statusAhead is the end of an attempt that has lost.
var statusAhead = status.New(codes.Canceled, "another attempt of the RPC is ahead")

var errPanicked = status.Error(codes.Internal, "panic in user code that the RPC calls")
