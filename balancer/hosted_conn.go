package balancer

import (
	"errors"
	"slices"
	"sync"

	grpcbalancer "google.golang.org/grpc/balancer"
	estats "google.golang.org/grpc/experimental/stats"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// op is what a hosted balancer asked for, to be done on the balancer actor's
// turn.
type op func(h *hosted, fx *policy.Effects)

// hostedConn is what a hosted balancer sees of its channel. It may be called from
// any goroutine.
type hostedConn struct {
	grpcbalancer.ClientConn // for the method that enforces embedding; nil, and no other is left to it

	hosting  *Hosting
	recorder estats.MetricsRecorder
	poke     func()

	mu       sync.Mutex // Edge: of the balancer's own goroutines
	ops      []op
	stepping bool // the balancer actor is at it and looks again by itself
	closed   bool
}

func (c *hostedConn) post(o op) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.ops = append(c.ops, o)
	poke := !c.stepping
	c.mu.Unlock()
	if poke && c.poke != nil {
		c.poke()
	}
}

// begin and take bracket a step; the last take of one gives nothing.
func (c *hostedConn) begin() {
	c.mu.Lock()
	c.stepping = true
	c.mu.Unlock()
}

func (c *hostedConn) take() []op {
	c.mu.Lock()
	defer c.mu.Unlock()
	ops := c.ops
	c.ops = nil
	c.stepping = len(ops) > 0
	return ops
}

func (c *hostedConn) close() {
	c.mu.Lock()
	c.closed, c.ops = true, nil
	c.mu.Unlock()
}

var (
	errBalancerClosed = errors.New("the balancer is closed")
	errNoAddress      = errors.New("a SubConn needs an address")
)

// NewSubConn implements grpc-go's balancer.ClientConn.
func (c *hostedConn) NewSubConn(addrs []grpcresolver.Address, o grpcbalancer.NewSubConnOptions) (grpcbalancer.SubConn, error) {
	if len(addrs) == 0 {
		return nil, errNoAddress
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, errBalancerClosed
	}
	s := &subConn{cc: c, addrs: slices.Clone(addrs), opts: o}
	c.post(func(h *hosted, fx *policy.Effects) { h.create(s, fx) })
	return s, nil
}

// RemoveSubConn implements grpc-go's balancer.ClientConn.
func (c *hostedConn) RemoveSubConn(sc grpcbalancer.SubConn) {
	if s, ok := sc.(*subConn); ok {
		s.Shutdown()
	}
}

// UpdateAddresses implements grpc-go's balancer.ClientConn.
func (c *hostedConn) UpdateAddresses(sc grpcbalancer.SubConn, addrs []grpcresolver.Address) {
	if s, ok := sc.(*subConn); ok {
		s.UpdateAddresses(addrs)
	}
}

// UpdateState implements grpc-go's balancer.ClientConn.
func (c *hostedConn) UpdateState(s grpcbalancer.State) {
	c.post(func(h *hosted, fx *policy.Effects) { h.publish(s, fx) })
}

// ResolveNow implements grpc-go's balancer.ClientConn.
func (c *hostedConn) ResolveNow(grpcresolver.ResolveNowOptions) {
	c.post(func(_ *hosted, fx *policy.Effects) { fx.Resolve = true })
}

// Target implements grpc-go's balancer.ClientConn.
func (c *hostedConn) Target() string { return c.hosting.Target }

// MetricsRecorder implements grpc-go's balancer.ClientConn.
func (c *hostedConn) MetricsRecorder() estats.MetricsRecorder { return c.recorder }
