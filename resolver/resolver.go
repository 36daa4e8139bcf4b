// Package resolver turns a target into endpoints, as an actor per target.
//
// # Role
//
// The actor hosts one grpc-go resolver.Resolver (the registry is shared:
// passthrough, dns, unix, unix-abstract, manual and any third party's) and
// turns its callbacks, which come on goroutines of its own, into messages to
// the channel.
//
// # Messages in
//
// ResolveNow from the channel.
//
// # Messages out
//
// Update and Failed to the channel.
//
// # States
//
// starting, resolved, failing.
//
// # Supervision
//
// Restarted with backoff by the channel; the channel keeps the last good
// Update meanwhile.
package resolver

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
)

// Config describes a resolver actor.
type Config struct {
	Target  resolver.Target
	Builder resolver.Builder
	Options resolver.BuildOptions
	Parse   func(js string) *serviceconfig.ParseResult // service config JSON -> what the channel understands
	Parent  actors.Ref[any]
	Table   *actors.Table
}

type resolverActor struct {
	cfg  Config
	self actors.Ref[any]
	r    resolver.Resolver
}

// Spawn starts a resolver as a child of ctx's actor.
func Spawn(ctx actor.SpawnerContext, cfg Config) (actors.Ref[any], error) {
	sp := &actors.Spec{Kind: "resolver", Mode: actors.Goroutine, Table: cfg.Table}
	return actors.SpawnFunc[any](ctx, "resolver", sp, func() actor.Actor { return &resolverActor{cfg: cfg} })
}

// Receive implements actor.Actor.
func (a *resolverActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Update:
		a.self.Probe().SetState("resolved")
		a.self.Probe().SetDetail(m)
		a.cfg.Parent.Tell(m)
	case *Failed:
		a.failed(m)
	case *ResolveNow:
		if a.r != nil {
			a.r.ResolveNow(resolver.ResolveNowOptions{})
		}
	case *actor.Started:
		a.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		a.close()
	case *actor.Stopped:
	default:
		actors.Unhandled(ctx)
	}
}

func (a *resolverActor) start(ctx actor.Context) {
	a.self = actors.Self[any](ctx)
	a.self.Probe().SetState("starting")
	r, err := a.cfg.Builder.Build(a.cfg.Target, &sink{self: a.self, parse: a.cfg.Parse}, a.cfg.Options)
	if err != nil {
		a.failed(&Failed{Err: err})
		return
	}
	a.r = r
}

func (a *resolverActor) failed(m *Failed) {
	a.self.Probe().SetState("failing")
	a.self.Probe().SetDetail(m)
	a.cfg.Parent.Tell(m)
}

func (a *resolverActor) close() {
	if a.r != nil {
		a.r.Close()
		a.r = nil
	}
}

// sink is what the hosted resolver sees of us.
type sink struct {
	resolver.ClientConn // for methods grpc-go may add; nil, never called today
	self                actors.Ref[any]
	parse               func(js string) *serviceconfig.ParseResult
}

// errNoEndpoints tells a resolver that its answer was of no use.
var errNoEndpoints = errors.New("resolver: produced no addresses")

// UpdateState implements resolver.ClientConn.
func (s *sink) UpdateState(st resolver.State) error {
	eps := st.Endpoints
	if len(eps) == 0 {
		for _, a := range st.Addresses {
			eps = append(eps, resolver.Endpoint{Addresses: []resolver.Address{a}, Attributes: a.BalancerAttributes}) //nolint:staticcheck // where a resolver without endpoints has them
		}
	}
	if len(eps) == 0 {
		s.self.Tell(&Failed{Err: errNoEndpoints})
		return errNoEndpoints
	}
	s.self.Tell(&Update{Endpoints: eps, Config: st.ServiceConfig, State: st})
	return nil
}

// ReportError implements resolver.ClientConn.
func (s *sink) ReportError(err error) { s.self.Tell(&Failed{Err: err}) }

// NewAddress implements resolver.ClientConn.
func (s *sink) NewAddress(addrs []resolver.Address) {
	_ = s.UpdateState(resolver.State{Addresses: addrs})
}

// ParseServiceConfig implements resolver.ClientConn.
func (s *sink) ParseServiceConfig(js string) *serviceconfig.ParseResult { return s.parse(js) }
