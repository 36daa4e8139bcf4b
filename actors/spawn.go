package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// Spawn starts actor a under parent, which is the context of an actor or a
// root context. A restart keeps a: it has to start afresh when it gets
// *actor.Started again.
//
// An actor spawned by a bare root context has no parent to decide about its
// failure and is stopped; give the root context a guardian to decide otherwise.
func Spawn[M any](parent actor.SpawnerContext, name string, spec *Spec, a actor.Actor) (Ref[M], error) {
	return SpawnFunc[M](parent, name, spec, func() actor.Actor { return a })
}

// SpawnFunc is Spawn with a new value for each incarnation.
func SpawnFunc[M any](parent actor.SpawnerContext, name string, spec *Spec, produce func() actor.Actor) (Ref[M], error) {
	m := newMailbox(spec, produce)
	m.props.Configure(
		actor.WithProducer(m.incarnate),
		actor.WithMailbox(func() actor.Mailbox { return m }),
	)
	if rc, ok := parent.(*actor.RootContext); ok && rc.Self() == nil {
		parent = rc.Copy().WithGuardian(stopFailed)
	}
	if _, err := parent.SpawnNamed(&m.props, name); err != nil {
		return Ref[M]{}, fmt.Errorf("actors: spawn %q: %w", name, err)
	}
	return Ref[M]{m}, nil
}
