// Package manual is a resolver that says what it is told: for tests, and for
// lists of servers that a program learns by itself.
//
//	servers := manual.New("fleet", "10.0.0.1:443", "10.0.0.2:443")
//	cc, err := callboard.NewClient("fleet:///orders", callboard.WithResolvers(servers), ...)
//	...
//	servers.Addresses("10.0.0.2:443", "10.0.0.3:443")
//
// It serves any number of channels at once, callboard's and grpc-go's, and each
// hears what was said last when it starts.
package manual

import (
	"maps"
	"slices"
	"sync"

	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/resolver"
)

// Resolver is a resolver.Builder of grpc-go's kind. It is safe for concurrent
// use. Make it with New.
type Resolver struct {
	scheme string

	mu     sync.Mutex // orders what is said, too
	answer *resolver.Answer
	err    error // said after answer
	next   int
	heard  map[int]grpcresolver.ClientConn
	asked  chan struct{}
}

// New makes a resolver of a scheme, in lower case, that resolves every target to
// the addresses, each "host:port". Without any, channels wait for what is said
// first.
func New(scheme string, addrs ...string) *Resolver {
	r := &Resolver{scheme: scheme, heard: map[int]grpcresolver.ClientConn{}, asked: make(chan struct{}, 1)}
	if len(addrs) > 0 {
		r.Addresses(addrs...)
	}
	return r
}

// Addresses says that there is an endpoint at each address. The service config
// stays. None at all means that there are no servers: channels let go of those
// they have.
func (r *Resolver) Addresses(addrs ...string) {
	eps := make([]grpcresolver.Endpoint, len(addrs))
	for i, a := range addrs {
		eps[i].Addresses = []grpcresolver.Address{{Addr: a}}
	}
	r.Update(eps...)
}

// Update says what endpoints there are. The service config stays.
func (r *Resolver) Update(eps ...grpcresolver.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var a resolver.Answer
	if r.answer != nil {
		a = *r.answer
	}
	a.Endpoints = slices.Clone(eps)
	r.set(a)
}

// Set says all there is to say. Of an Answer, Skipped and Final have no meaning
// here.
func (r *Resolver) Set(a resolver.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(a)
}

func (r *Resolver) set(a resolver.Answer) {
	r.answer, r.err = &a, nil
	r.each(r.tell)
}

// Fail says that resolving did not succeed; what was said before stays good.
func (r *Resolver) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	r.each(func(cc grpcresolver.ClientConn) { cc.ReportError(err) })
}

// Asked gets a value when a channel asks for a fresh look, as it does when a
// connection is lost. A request that nobody waits for is remembered once.
func (r *Resolver) Asked() <-chan struct{} { return r.asked }

// Scheme implements resolver.Builder.
func (r *Resolver) Scheme() string { return r.scheme }

// Build implements resolver.Builder.
func (r *Resolver) Build(_ grpcresolver.Target, cc grpcresolver.ClientConn, _ grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	r.heard[r.next] = cc
	if r.answer != nil {
		r.tell(cc)
	}
	if r.err != nil {
		cc.ReportError(r.err)
	}
	return &attached{r: r, id: r.next}, nil
}

// each goes by age, so that what channels hear is the same in every run.
func (r *Resolver) each(f func(grpcresolver.ClientConn)) {
	for _, id := range slices.Sorted(maps.Keys(r.heard)) {
		f(r.heard[id])
	}
}

func (r *Resolver) tell(cc grpcresolver.ClientConn) {
	st := grpcresolver.State{Endpoints: r.answer.Endpoints, Attributes: r.answer.Attributes}
	for _, ep := range st.Endpoints {
		st.Addresses = append(st.Addresses, ep.Addresses...)
	}
	switch a := r.answer; {
	case a.ConfigErr != nil:
		st.ServiceConfig = &serviceconfig.ParseResult{Err: a.ConfigErr}
	case a.ServiceConfig != "":
		st.ServiceConfig = cc.ParseServiceConfig(a.ServiceConfig)
	}
	_ = cc.UpdateState(st) // whoever said it will say something else
}

// attached is the resolver of one channel.
type attached struct {
	r  *Resolver
	id int
}

// ResolveNow implements resolver.Resolver.
func (a *attached) ResolveNow(grpcresolver.ResolveNowOptions) {
	select {
	case a.r.asked <- struct{}{}:
	default:
	}
}

// Close implements resolver.Resolver.
func (a *attached) Close() {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	delete(a.r.heard, a.id)
}
