package balancer

import (
	"sync"

	grpcbalancer "google.golang.org/grpc/balancer"
)

// producer is something that watches a backend for all who want to know, as
// grpc-go's load reports do: made when first asked for, closed with its last
// user or with the next change of its SubConn's state.
type producer struct {
	value grpcbalancer.Producer
	users int
	close func()
}

// GetOrBuildProducer implements grpc-go's balancer.SubConn.
func (s *subConn) GetOrBuildProducer(b grpcbalancer.ProducerBuilder) (grpcbalancer.Producer, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.producers[b]
	if p == nil {
		var calls any
		if f := s.cc.hosting.Calls; f != nil {
			calls = f(s.conn)
		}
		p = &producer{}
		p.value, p.close = b.Build(calls)
		if s.producers == nil {
			s.producers = map[grpcbalancer.ProducerBuilder]*producer{}
		}
		s.producers[b] = p
	}
	p.users++
	return p.value, sync.OnceFunc(func() { s.leave(b, p) })
}

func (s *subConn) leave(b grpcbalancer.ProducerBuilder, p *producer) {
	s.mu.Lock()
	p.users--
	last := p.users == 0 && s.producers[b] == p
	if last {
		delete(s.producers, b)
	}
	s.mu.Unlock()
	if last {
		p.close()
	}
}

// closeProducers closes all of them. They may block until what they have begun
// has ended, so no lock is held.
func (s *subConn) closeProducers() {
	s.mu.Lock()
	old := s.producers
	s.producers = nil
	s.mu.Unlock()
	for _, p := range old {
		p.close()
	}
}
