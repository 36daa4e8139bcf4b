// Package resolver turns a target into endpoints, as an actor per target.
//
// # Role
//
// The actor drives one resolver and turns what it says into messages to the
// channel. There are two kinds. A [Source] answers when it is asked; the actor
// owns its time: polling, the least interval between looks, backoff after a
// failure. A resolver.Resolver of grpc-go has goroutines of its own and calls
// back; the actor hosts it as grpc-go does, so a third party's works as it is.
// Either runs away from the actor's turn, which it can neither block nor crash.
//
// # Messages in
//
// ResolveNow from the channel.
//
// # Messages out
//
// Update and Failed to the channel. An answer of a Source that says what the
// one before said is no Update.
//
// # States
//
// starting, resolved, failing.
//
// # Supervision
//
// Restarted with backoff by the channel; the channel keeps the last good
// Update meanwhile. A panic of the resolver, on the goroutines it is called on,
// is a failure of the actor.
package resolver

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
)

// Config describes a resolver actor.
type Config struct {
	Target  resolver.Target
	Builder resolver.Builder // of grpc-go's kind, or made by Polling
	Options resolver.BuildOptions
	Parse   func(js string) *serviceconfig.ParseResult // service config JSON -> what the channel understands
	Parent  actors.Ref[any]
	Table   *actors.Table
}

type resolverActor struct {
	cfg    Config
	self   actors.Ref[any]
	drive  driver
	state  string
	status Status
}

// driver is how a kind of resolver is driven. Its methods are called on the
// actor's turn and do not block.
type driver interface {
	start()
	resolveNow()
	due(gen uint64)
	close()
}

const (
	starting = "starting"
	resolved = "resolved"
	failing  = "failing"
)

// Spawn starts a resolver as a child of ctx's actor.
func Spawn(ctx actor.SpawnerContext, name string, cfg Config) (actors.Ref[any], error) {
	sp := &actors.Spec{Kind: "resolver", Mode: actors.Goroutine, Table: cfg.Table}
	return actors.SpawnFunc[any](ctx, name, sp, func() actor.Actor { return &resolverActor{cfg: cfg} })
}

// Receive implements actor.Actor.
func (a *resolverActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *news:
		if a.current(m.from) {
			m.from.news()
		}
	case *called:
		if a.current(m.from) {
			m.from.called()
		}
	case *answered:
		if a.current(m.from) {
			m.from.answered(m)
		}
	case *due:
		if a.current(m.from) {
			m.from.due(m.gen)
		}
	case *crashed:
		if a.current(m.from) {
			panic(m.reason)
		}
	case *ResolveNow:
		a.drive.resolveNow()
	case *actor.Started:
		a.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		a.close()
	case *actor.Stopped:
	default:
		actors.Unhandled(ctx)
	}
}

// current tells this incarnation's driver from one of an earlier incarnation,
// whose messages may be under way still.
func (a *resolverActor) current(d driver) bool { return a.drive == d }

func (a *resolverActor) start(ctx actor.Context) {
	a.self = actors.Self[any](ctx)
	a.become(starting, "started")
	if o, ok := a.cfg.Builder.(*polling); ok {
		a.drive = newPulled(a, o)
	} else {
		a.drive = newHosted(a)
	}
	a.drive.start()
}

func (a *resolverActor) close() {
	if a.drive != nil {
		a.drive.close()
	}
}

// update passes an answer on.
func (a *resolverActor) update(u *Update) {
	a.status.updated(u)
	a.become(resolved, "update")
	a.cfg.Parent.Tell(u)
}

// fail says that there is no answer this time.
func (a *resolverActor) fail(f *Failed) {
	a.status.failed(f)
	a.become(failing, "failed")
	a.cfg.Parent.Tell(f)
}

// become is where every change of state goes through. It publishes the status
// as well.
func (a *resolverActor) become(to, on string) {
	if a.state == to {
		a.self.Probe().SetState(to)
	} else {
		a.self.Probe().Become(a.state, to, on)
		a.state = to
	}
	a.publish()
}

func (a *resolverActor) publish() {
	st := a.status
	a.self.Probe().SetDetail(&st)
}
