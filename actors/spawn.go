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
	m, err := register(parent, name, spec)
	if err != nil {
		return Ref[M]{}, err
	}
	m.begin(a, nil)
	return Ref[M]{m}, nil
}

// SpawnFunc is Spawn with a new value for each incarnation.
func SpawnFunc[M any](parent actor.SpawnerContext, name string, spec *Spec, produce func() actor.Actor) (Ref[M], error) {
	m, err := register(parent, name, spec)
	if err != nil {
		return Ref[M]{}, err
	}
	m.begin(nil, produce)
	return Ref[M]{m}, nil
}

// register makes a mailbox that nobody runs yet.
func register(parent actor.SpawnerContext, name string, spec *Spec) (*Mailbox, error) {
	if rc, ok := parent.(*actor.RootContext); ok && rc.Self() == nil {
		parent = rc.Copy().WithGuardian(stopFailed)
	}
	pid, err := parent.SpawnNamed(spec.shared(), name)
	if err != nil {
		return nil, fmt.Errorf("actors: spawn %q: %w", name, err)
	}
	m := mailboxOf(parent.ActorSystem(), pid)
	if m == nil {
		return nil, fmt.Errorf("actors: spawn %q: a middleware spawned something else", name)
	}
	return m, nil
}

// shared is the Props of all actors of the Spec.
func (s *Spec) shared() *actor.Props {
	if p := s.props.Load(); p != nil {
		return p
	}
	p := actor.PropsFromProducer(func() actor.Actor { return new(shell) },
		actor.WithMailbox(func() actor.Mailbox { return newMailbox(s) }))
	if s.props.CompareAndSwap(nil, p) {
		return p
	}
	return s.props.Load()
}
