package balancer

import (
	"slices"
	"sync/atomic"

	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// host is what the policies may call, and what policies of grpc-go need beyond
// the effects of ours.
type host struct {
	b    *balancer
	self actors.Ref[any]
	n    uint64
	poke atomic.Bool // poked is on its way

	moves   []move
	listens []listen
	guests  map[*hosted]bool // balancers of grpc-go in the tree
}

// move gives a subchannel other addresses.
type move struct {
	to    *policy.Subchannel
	addrs []grpcresolver.Address
}

// listen makes f hear of a subchannel's health; nil: nobody.
type listen struct {
	to *policy.Subchannel
	f  func(connectivity.State, error)
}

type listener struct {
	report func(connectivity.State, error)
}

// NewSubchannel implements policy.Host.
func (h *host) NewSubchannel() *policy.Subchannel {
	h.n++
	return &policy.Subchannel{ID: h.n, Edge: &edge{}}
}

// Rand implements policy.Host.
func (h *host) Rand() uint64 { return h.b.cfg.Rand() }

// Poke makes the balancer step the policies soon. Any goroutine may call it.
func (h *host) Poke() {
	if !h.poke.Swap(true) {
		h.self.Tell(&poked{})
	}
}

func (h *host) move(s *policy.Subchannel, addrs []grpcresolver.Address) {
	h.moves = append(h.moves, move{to: s, addrs: slices.Clone(addrs)})
}

func (h *host) listen(s *policy.Subchannel, f func(connectivity.State, error)) {
	h.listens = append(h.listens, listen{to: s, f: f})
}

// abandon lets go of a tree that is no more.
func (h *host) abandon() {
	h.forget()
	for g := range h.guests {
		g.abandon()
	}
	clear(h.guests)
}

func (h *host) forget() { h.moves, h.listens = nil, nil }

// perform does what policies have asked the host for in a step, behind the
// creation of their subchannels.
func (h *host) perform() {
	for _, m := range h.moves {
		if c := h.b.child(m.to); c != nil {
			c.addrs = m.addrs
			c.ref.Tell(&Addresses{List: m.addrs})
		}
	}
	for _, l := range h.listens {
		c := h.b.child(l.to)
		if c == nil {
			continue
		}
		c.listener = nil
		if l.f != nil {
			c.listener = &listener{report: l.f}
		}
		if h.b.last != nil {
			c.ref.Tell(&Watch{Service: h.b.last.HealthService, Listen: l.f != nil})
		}
	}
	h.forget()
}
