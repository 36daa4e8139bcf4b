package balancer

import (
	"slices"
	"sync"
	"sync/atomic"

	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// subConn is a subchannel as a hosted balancer sees it. Its methods may be called
// from any goroutine; the fields below the line belong to the balancer actor's
// turn.
type subConn struct {
	grpcbalancer.SubConn // for the method that enforces embedding; nil, and no other is left to it

	cc     *hostedConn
	addrs  []grpcresolver.Address
	opts   grpcbalancer.NewSubConnOptions
	handle atomic.Pointer[policy.Subchannel] // nil until the balancer's turn has come

	mu        sync.Mutex // Edge: of the balancer's own goroutines
	producers map[grpcbalancer.ProducerBuilder]*producer

	// ---
	state     connectivity.State
	listening int // tells the health listener in force from older ones
	listens   bool
}

// UpdateAddresses implements grpc-go's balancer.SubConn.
func (s *subConn) UpdateAddresses(addrs []grpcresolver.Address) {
	addrs = slices.Clone(addrs)
	s.cc.post(func(h *hosted, _ *policy.Effects) {
		if handle := s.handle.Load(); h.subs[handle] == s && h.host != nil {
			h.host.move(handle, addrs)
		}
	})
}

// Connect implements grpc-go's balancer.SubConn.
func (s *subConn) Connect() {
	s.cc.post(func(h *hosted, fx *policy.Effects) {
		if handle := s.handle.Load(); h.subs[handle] == s {
			fx.Connect = append(fx.Connect, handle)
		}
	})
}

// Shutdown implements grpc-go's balancer.SubConn.
func (s *subConn) Shutdown() {
	s.closeProducers()
	s.cc.post(func(h *hosted, fx *policy.Effects) { h.remove(s, fx) })
}

// RegisterHealthListener implements grpc-go's balancer.SubConn.
func (s *subConn) RegisterHealthListener(f func(grpcbalancer.SubConnState)) {
	s.cc.post(func(h *hosted, _ *policy.Effects) {
		s.listening++
		if h.subs[s.handle.Load()] != s || h.host == nil {
			return
		}
		if f == nil || s.state != connectivity.Ready {
			s.hearNothing(h)
			return
		}
		n := s.listening
		s.listens = true
		h.host.listen(s.handle.Load(), func(st connectivity.State, err error) {
			s.cc.post(func(*hosted, *policy.Effects) {
				if n == s.listening && s.state == connectivity.Ready {
					f(grpcbalancer.SubConnState{ConnectivityState: st, ConnectionError: err})
				}
			})
		})
	})
}

func (s *subConn) hearNothing(h *hosted) {
	s.listening++
	if s.listens {
		s.listens = false
		h.host.listen(s.handle.Load(), nil)
	}
}

// changed tells the balancer of a state. Producers and health listeners belong to
// the one before.
func (s *subConn) changed(h *hosted, ev *policy.Changed) {
	if ev.State == connectivity.Idle && s.state == connectivity.Idle {
		return // it knows that a SubConn begins so
	}
	s.state = ev.State
	s.closeProducers()
	s.hearNothing(h)
	st := grpcbalancer.SubConnState{ConnectivityState: ev.State}
	if ev.State == connectivity.TransientFailure {
		st.ConnectionError = ev.Err
	}
	s.tell(h, st)
}

func (s *subConn) tell(h *hosted, st grpcbalancer.SubConnState) {
	if f := s.opts.StateListener; f != nil {
		f(st)
		return
	}
	h.b.UpdateSubConnState(s, st) //nolint:staticcheck // deprecated, and what balancers without a listener live on
}

// conn is the connection of the moment.
func (s *subConn) conn() (Conn, bool) {
	handle := s.handle.Load()
	if handle == nil {
		return Conn{}, false
	}
	e, ok := handle.Edge.(*edge)
	if !ok {
		return Conn{}, false
	}
	return e.pick(random)
}
