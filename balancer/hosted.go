package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	estats "google.golang.org/grpc/experimental/stats"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// Hosting is what policies of grpc-go's kind see of their channel.
type Hosting struct {
	Options grpcbalancer.BuildOptions
	Target  string
	Metrics []estats.MetricsRecorder // all of them hear of a policy's metrics
	// Calls makes a grpc.ClientConnInterface of a subchannel, whose connection
	// of the moment get returns. nil: there are no producers.
	Calls func(get func() (Conn, bool)) any
	// Load makes what such policies understand of a load report; nil: nothing.
	Load func(*policy.Load) any
}

// Hosted makes a policy of a grpc-go balancer. It runs as it is: its balancer is
// called from the balancer actor's turn only, one call at a time; what it calls
// itself, from whatever goroutine, is performed on that turn.
func Hosted(b grpcbalancer.Builder, h Hosting) policy.Builder {
	return policy.Builder{
		Name:  b.Name(),
		Parse: func(js json.RawMessage, _ policy.Registry) (policy.Config, error) { return parseHosted(b, js) },
		New:   func(policy.Registry) policy.Policy { return &hosted{builder: b, hosting: h} },
	}
}

// parseHosted reads a configuration. The parser is the user's: what panics there
// cannot be read.
func parseHosted(b grpcbalancer.Builder, js json.RawMessage) (c policy.Config, err error) {
	p, ok := b.(grpcbalancer.ConfigParser)
	if !ok {
		return nil, nil
	}
	defer func() {
		if v := recover(); v != nil {
			c, err = nil, fmt.Errorf("its parser panics: %w", &actors.Panic{Value: v})
		}
	}()
	cfg, err := p.ParseConfig(js)
	if err != nil || cfg == nil {
		return nil, err
	}
	return cfg, nil
}

// hosted is a grpc-go balancer as a policy.
type hosted struct {
	builder grpcbalancer.Builder
	hosting Hosting

	b      grpcbalancer.Balancer
	cc     *hostedConn
	subs   map[*policy.Subchannel]*subConn
	host   *host // nil outside of the balancer actor
	bad    int   // answers of the resolver in a row that it had no use for
	retry  time.Time
	closed bool
}

// Step implements policy.Policy.
func (h *hosted) Step(ev policy.Event, now time.Time, fx *policy.Effects) {
	if h.closed {
		return
	}
	h.begin(fx)
	h.perform(fx)
	h.cc.begin() // what it asks for from here on is performed below
	switch ev := ev.(type) {
	case *policy.Update:
		h.update(ev, now)
	case *policy.Failed:
		h.b.ResolverError(ev.Err)
	case *policy.Changed:
		if s := h.subs[ev.Subchannel]; s != nil {
			s.changed(h, ev)
		}
	case *policy.ExitIdle:
		h.b.ExitIdle()
	case *policy.Tick:
		if !h.retry.IsZero() && !now.Before(h.retry) {
			h.retry = time.Time{}
			fx.Resolve = true
		}
	case *policy.Close:
		h.close()
	case *policy.Loaded, *policy.ResetBackoff, *policy.Wanted:
		// Loads it gets from a producer of its own, and what it has to say was
		// performed above.
	}
	h.perform(fx)
	if h.closed {
		h.end(fx)
		return
	}
	if !h.retry.IsZero() {
		fx.WakeAt(h.retry)
	}
}

// begin builds the balancer with its first event.
func (h *hosted) begin(fx *policy.Effects) {
	if h.b != nil {
		h.cc.begin()
		return
	}
	h.subs = map[*policy.Subchannel]*subConn{}
	h.cc = &hostedConn{hosting: &h.hosting, recorder: newRecording(h.hosting.Metrics), stepping: true}
	if own, ok := fx.Host.(*host); ok {
		h.host, h.cc.poke = own, own.Poke
		own.guests[h] = true
	}
	h.b = h.builder.Build(h.cc, h.hosting.Options)
}

func (h *hosted) update(ev *policy.Update, now time.Time) {
	st := ev.Hosted
	st.Endpoints = ev.Endpoints
	if st.Addresses == nil {
		st.Addresses = flatten(ev.Endpoints)
	}
	cfg, _ := ev.Config.(serviceconfig.LoadBalancingConfig)
	if cfg == nil {
		// Chosen by name alone: it has defaults, if it has a configuration.
		c, err := parseHosted(h.builder, json.RawMessage("{}"))
		if err == nil {
			cfg, _ = c.(serviceconfig.LoadBalancingConfig)
		}
	}
	err := h.b.UpdateClientConnState(grpcbalancer.ClientConnState{ResolverState: st, BalancerConfig: cfg})
	if !errors.Is(err, grpcbalancer.ErrBadResolverState) {
		h.bad, h.retry = 0, time.Time{}
		return
	}
	h.bad++
	h.retry = now.Add(actors.GRPCBackoff.Delay(h.bad))
}

// perform does what the balancer has asked for since the last time. Doing it may
// make it ask for more.
func (h *hosted) perform(fx *policy.Effects) {
	for {
		ops := h.cc.take()
		if len(ops) == 0 {
			return
		}
		for _, op := range ops {
			op(h, fx)
		}
	}
}

func (h *hosted) close() {
	h.closed = true
	h.b.Close()
	if h.host != nil {
		delete(h.host.guests, h)
	}
}

// end removes what the balancer has left behind.
func (h *hosted) end(fx *policy.Effects) {
	h.cc.close()
	var left []*policy.Subchannel
	for s, sc := range h.subs {
		sc.closeProducers()
		left = append(left, s)
	}
	slices.SortFunc(left, func(a, b *policy.Subchannel) int { return int(a.ID) - int(b.ID) })
	fx.Remove = append(fx.Remove, left...)
	h.subs = nil
}

// abandon closes a balancer that is not to be stepped any more, because it or
// another policy of its tree has panicked. Edge: it may hold a lock for ever, so
// it is closed on a goroutine of its own, unless that is what it has panicked in.
func (h *hosted) abandon() {
	closing := h.closed
	h.closed = true
	h.cc.close()
	left := h.subs
	h.subs = nil
	go func() {
		defer func() { _ = recover() }() // it is known to be broken
		for _, sc := range left {
			sc.closeProducers()
		}
		if h.b != nil && !closing {
			h.b.Close()
		}
	}()
}

func (h *hosted) publish(s grpcbalancer.State, fx *policy.Effects) {
	fx.SetState(s.ConnectivityState, hostedPicker{p: s.Picker, load: h.hosting.Load})
}

func (h *hosted) create(s *subConn, fx *policy.Effects) {
	handle := fx.NewSubchannel(s.addrs...)
	fx.Create[len(fx.Create)-1].NoHealth = !s.opts.HealthCheckEnabled
	h.subs[handle] = s
	s.handle.Store(handle)
}

// remove ends a SubConn, and says so to the balancer: what follows from the
// subchannel no longer concerns it.
func (h *hosted) remove(s *subConn, fx *policy.Effects) {
	handle := s.handle.Load()
	if h.subs[handle] != s {
		return
	}
	delete(h.subs, handle)
	fx.Remove = append(fx.Remove, handle)
	s.tell(h, grpcbalancer.SubConnState{ConnectivityState: connectivity.Shutdown})
}

func flatten(eps []grpcresolver.Endpoint) (list []grpcresolver.Address) {
	for _, e := range eps {
		list = append(list, e.Addresses...)
	}
	return list
}
