package callboard

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/callboard-rpc/callboard/internal/attempt"
)

// race is what the attempts of a streaming RPC with a policy share, and those of
// a hedged unary one. Each attempt has a goroutine, until response headers
// decide which of them is the RPC; then the application deals with that one
// alone.
//
// Its fields are guarded by the relay's lock. What the machine decides is noted
// under the lock and carried out behind it.
type race struct {
	s       *clientStream
	machine attempt.Machine
	fx      attempt.Effects
	live    []*try
	winner  *try // committed to; it may be looking for a connection yet
	last    *try // that ended last
	timer   *time.Timer
	armed   time.Time
	begun   bool
	ready   chan struct{} // closed when NewStream may return
	settled chan struct{} // closed when the relay's try is the RPC
}

// orders are what is to be done once the lock is released.
type orders struct{ start, lost []*try }

func newRace(s *clientStream, cfg attempt.Config) *race {
	return &race{s: s, machine: attempt.New(cfg), ready: make(chan struct{}), settled: make(chan struct{})}
}

// begin starts the first attempt, and waits until one has a stream or none will.
func (r *race) begin() error {
	r.do(attempt.Begin{})
	<-r.ready // the RPC's context ends it, too
	return r.failure()
}

// failure is why the RPC has no attempt with a stream; nil while it has one, or
// may yet.
func (r *race) failure() error {
	mu := &r.s.relay.mu
	mu.Lock()
	defer mu.Unlock()
	if t := r.s.relay.try; t != nil {
		return t.err
	}
	return nil
}

// do steps the machine.
func (r *race) do(ev attempt.Event) {
	mu := &r.s.relay.mu
	mu.Lock()
	o := r.step(ev)
	mu.Unlock()
	r.perform(o)
}

// step steps the machine; the lock is held.
func (r *race) step(ev attempt.Event) (o orders) {
	fx := &r.fx
	fx.Reset()
	r.machine.Step(ev, time.Now(), fx)
	for _, n := range fx.Cancel {
		t := r.leave(n)
		t.lost = true
		o.lost = append(o.lost, t)
	}
	for _, st := range fx.Start {
		t := &try{Start: st}
		t.ctx, t.stop = context.WithCancel(r.s.ctx)
		r.live = append(r.live, t)
		o.start = append(o.start, t)
	}
	if fx.Commit != attempt.None {
		r.commit(fx.Commit)
	}
	if fx.Finish && fx.Final != attempt.None {
		r.settle(r.last)
	}
	r.arm(fx.Wake)
	return o
}

func (r *race) perform(o orders) {
	for _, t := range o.lost {
		t.stop() // its goroutine does the rest
	}
	for _, t := range o.start {
		go r.run(t)
	}
}

func (r *race) leave(n int) *try {
	for i, t := range r.live {
		if t.N == n {
			r.live = append(r.live[:i], r.live[i+1:]...)
			return t
		}
	}
	return nil
}

// commit makes attempt n the only one; the lock is held.
func (r *race) commit(n int) {
	for _, t := range r.live {
		if t.N == n {
			r.winner = t
		}
	}
	r.s.relay.commit(r.winner)
	if r.winner.opened {
		r.settle(r.winner)
	}
}

// settle makes t the RPC; the lock is held.
func (r *race) settle(t *try) {
	if r.over() {
		return
	}
	r.s.relay.settle(t)
	close(r.settled)
	r.beginning()
}

func (r *race) over() bool {
	select {
	case <-r.settled:
		return true
	default:
		return false
	}
}

func (r *race) beginning() {
	if !r.begun {
		r.begun = true
		close(r.ready)
	}
}

// arm sets the clock; the lock is held.
func (r *race) arm(at time.Time) {
	switch {
	case at.Equal(r.armed):
	case at.IsZero():
		r.timer.Stop()
	case r.timer == nil:
		r.timer = time.AfterFunc(time.Until(at), r.tick)
	default:
		r.timer.Reset(time.Until(at))
	}
	r.armed = at
}

func (r *race) tick() {
	mu := &r.s.relay.mu
	mu.Lock()
	r.armed = time.Time{}
	o := r.step(attempt.Tick{})
	mu.Unlock()
	r.perform(o)
}

// full commits the RPC because a message does not fit into what is kept. The
// attempt that has got furthest goes on. The lock is held.
func (r *race) full() orders {
	furthest := attempt.Full{N: attempt.None}
	most := -1
	for _, t := range r.live {
		if t.next > most {
			furthest.N, most = t.N, t.next
		}
	}
	return r.step(furthest)
}

// quit ends the RPC for a reason that is none of an attempt's. It says false
// when one of them is the RPC already.
func (r *race) quit(err error) bool {
	mu := &r.s.relay.mu
	mu.Lock()
	if r.over() {
		mu.Unlock()
		return false
	}
	o := r.step(attempt.Cancel{})
	r.settle(&try{err: err, call: deadCall(err), ctx: r.s.ctx})
	mu.Unlock()
	r.perform(o)
	return true
}

// gaveUp says why an RPC that has nothing to show ends with its context.
func (r *race) gaveUp() error {
	s := r.s
	mu := &s.relay.mu
	mu.Lock()
	live, last, n := append([]*try(nil), r.live...), r.last, r.machine.Attempts()
	var on *try
	var w stopwatch
	for _, t := range live {
		if t.opened {
			on, w = t, t.watch
			break
		}
	}
	mu.Unlock()
	switch {
	case on != nil:
		return s.cc.gaveUp(s.ctx, on.call, on.ref.Ref, &w)
	case len(live) > 0 || last == nil:
		p := s.cc.edge.now.Load().picker
		return s.cc.edge.gaveUp(s.ctx, p, p.Err, &stopwatch{})
	}
	return s.cc.gaveUpRetrying(s.ctx, n, last.result)
}

var unaryDesc = &grpc.StreamDesc{}

// invokeHedged does a unary RPC with a hedging policy.
func (cc *ClientConn) invokeHedged(ctx context.Context, method string, args, reply any, opts []grpc.CallOption, r rules) error {
	s := &clientStream{cc: cc, desc: unaryDesc}
	if err := s.start(ctx, method, opts, r, nil); err != nil {
		return err
	}
	defer s.cancel() // a codec that panics leaves nothing behind
	if err := s.SendMsg(args); err != nil {
		return err
	}
	return s.RecvMsg(reply)
}
