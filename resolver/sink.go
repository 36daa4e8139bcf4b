package resolver

import (
	"errors"
	"slices"
	"sync"

	"google.golang.org/grpc/balancer"
	grpclbstate "google.golang.org/grpc/balancer/grpclb/state"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// sink is what a hosted resolver sees of us. It keeps the newest thing that was
// said, so a resolver that talks faster than the actor listens costs nothing
// but what it said last.
type sink struct {
	resolver.ClientConn // for methods grpc-go may add; nil: a test holds that none is missing
	parse               func(js string) *serviceconfig.ParseResult
	noConfig            bool
	tell                func() // that there is news

	mu     sync.Mutex // Edge: the resolver's goroutines
	closed bool
	update *Update
	failed *Failed // after update, if both are there
}

// UpdateState implements resolver.ClientConn. It refuses what is of no use with
// balancer.ErrBadResolverState, as grpc-go does, so that the resolver may look
// again.
func (s *sink) UpdateState(st resolver.State) error {
	u := newUpdate(st)
	if s.noConfig {
		u.Config = nil
	}
	if !s.say(func() { s.update, s.failed = u, nil }) {
		return nil
	}
	return u.defect()
}

// ReportError implements resolver.ClientConn.
func (s *sink) ReportError(err error) {
	if err == nil {
		err = errUnnamed
	}
	s.say(func() { s.failed = &Failed{Err: err} })
}

var errUnnamed = errors.New("resolver: failed, and did not say why")

// NewAddress implements resolver.ClientConn.
func (s *sink) NewAddress(addrs []resolver.Address) {
	_ = s.UpdateState(resolver.State{Addresses: addrs}) // whoever calls this has no use for an error
}

// ParseServiceConfig implements resolver.ClientConn.
func (s *sink) ParseServiceConfig(js string) *serviceconfig.ParseResult {
	return parseContained(s.parse, js)
}

func (s *sink) say(what func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	first := s.update == nil && s.failed == nil
	what()
	if first {
		s.tell()
	}
	return true
}

// take gives the actor what was said since it last asked.
func (s *sink) take() (*Update, *Failed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, f := s.update, s.failed
	s.update, s.failed = nil, nil
	return u, f
}

// close makes the sink deaf.
func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.update, s.failed = nil, nil
}

// parseContained keeps a panic of the parser off the resolver's goroutine.
func parseContained(parse func(js string) *serviceconfig.ParseResult, js string) (r *serviceconfig.ParseResult) {
	if err := contained(func() error { r = parse(js); return nil }); err != nil {
		r = &serviceconfig.ParseResult{Err: err}
	}
	return r
}

// newUpdate takes over what a resolver says. Addresses that are in no endpoint
// are one each, as in grpc-go; an endpoint without addresses is none.
func newUpdate(st resolver.State) *Update {
	st.Addresses, st.Endpoints = slices.Clone(st.Addresses), slices.Clone(st.Endpoints)
	var eps []resolver.Endpoint
	for i := range st.Endpoints {
		ep := &st.Endpoints[i]
		ep.Addresses = slices.Clone(ep.Addresses)
		if len(ep.Addresses) > 0 {
			eps = append(eps, *ep)
		}
	}
	if len(st.Endpoints) == 0 {
		for _, a := range st.Addresses {
			at := a.BalancerAttributes //nolint:staticcheck // where a resolver without endpoints has them
			a.BalancerAttributes = nil //nolint:staticcheck // they are the endpoint's now
			eps = append(eps, resolver.Endpoint{Addresses: []resolver.Address{a}, Attributes: at})
		}
	}
	return &Update{Endpoints: eps, Config: st.ServiceConfig, State: st}
}

// defect says whether there is something wrong with the answer that looking
// again may mend. One that names balancers (gRFC A5) needs no endpoints.
func (u *Update) defect() error {
	if len(u.Endpoints) == 0 && grpclbstate.Get(u.State) == nil || u.Config != nil && u.Config.Err != nil {
		return balancer.ErrBadResolverState
	}
	return nil
}
