package resolver

import (
	"fmt"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
)

// closeLimit is how long the actor waits for a hosted resolver to return from
// what it is doing and to close. One that takes longer is left to itself.
const closeLimit = time.Second

// hosted drives a resolver of grpc-go's kind. Its methods are called one at a
// time and in order, away from the actor's turn: Build and Close of third
// parties ask servers.
type hosted struct {
	a     *resolverActor
	sink  *sink
	built *built
	retry *actors.Timer
	fails int

	over   chan struct{} // closed when the newest call has returned
	busy   bool          // it has not, as far as the actor knows
	wanted bool          // ResolveNow came meanwhile
}

// built is the outcome of Build. It belongs to the goroutine that builds until
// that is over.
type built struct {
	r     resolver.Resolver
	err   error
	heard bool // the actor has
}

func newHosted(a *resolverActor) *hosted {
	h := &hosted{a: a}
	h.retry = actors.NewTimer(func(gen uint64) { a.self.Tell(&due{from: h, gen: gen}) })
	return h
}

func (h *hosted) start() {
	h.sink = &sink{
		parse: h.a.cfg.Parse, noConfig: h.a.cfg.Options.DisableServiceConfig,
		tell: func() { h.a.self.Tell(&news{from: h}) },
	}
	b, s, cfg := &built{}, h.sink, h.a.cfg
	h.built = b
	h.call(func() { b.r, b.err = cfg.Builder.Build(cfg.Target, s, cfg.Options) })
}

// call lets the resolver do something.
func (h *hosted) call(what func()) {
	over := make(chan struct{})
	h.over, h.busy = over, true
	edge(what,
		func() { close(over); h.a.self.Tell(&called{from: h}) },
		func(p *crash) { close(over); h.a.self.Tell(&crashed{from: h, reason: p}) })
}

// called is told when a call has returned.
func (h *hosted) called() {
	h.busy = false
	if b := h.built; !b.heard {
		b.heard = true
		if b.err == nil && b.r == nil {
			b.err = fmt.Errorf("the builder of scheme %q gave no resolver", h.a.cfg.Builder.Scheme())
		}
		if b.err != nil {
			h.notBuilt(b.err)
			return
		}
		h.fails = 0
	}
	if h.wanted {
		h.resolveNow()
	}
}

// notBuilt waits and builds again: the reason may have been a server that was
// down.
func (h *hosted) notBuilt(err error) {
	h.sink.close()
	h.wanted = false // building looks
	h.fails++
	d := actors.GRPCBackoff.Delay(h.fails)
	h.retry.Reset(d)
	h.a.fail(&Failed{Err: err, Retry: d})
}

func (h *hosted) due(gen uint64) {
	if h.retry.Current(gen) {
		h.start()
	}
}

func (h *hosted) resolveNow() {
	if h.busy {
		h.wanted = true
		return
	}
	h.wanted = false
	if b := h.built; b.err == nil { // else it is built again anyway
		h.call(func() { b.r.ResolveNow(resolver.ResolveNowOptions{}) })
	}
}

func (h *hosted) news() {
	u, f := h.sink.take()
	if u != nil {
		h.a.status.retryIn(0)
		h.a.update(u)
	}
	if f != nil {
		h.a.fail(f)
	}
}

// close waits for the resolver to be gone, but not for ever.
func (h *hosted) close() {
	h.retry.Close()
	h.sink.close()
	over, b := h.over, h.built
	gone := make(chan struct{})
	edge(func() {
		<-over
		if b.r != nil {
			b.r.Close()
		}
	}, func() { close(gone) }, func(*crash) { close(gone) })
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-gone:
	case <-limit.C:
	}
}
