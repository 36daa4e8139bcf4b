package callboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/inspect"
)

// System is a tree of actors: clients and servers at the top, connections and
// streams below. A process usually has one, made when it is first needed;
// NewSystem makes others, to name, watch and shut down on their own.
type System struct {
	name      string
	as        *actor.ActorSystem
	table     *actors.Table
	root      actors.Ref[any]
	log       *slog.Logger
	supervise conn.Supervisor
	memory    *memory
	events    feed

	mu      sync.Mutex
	closers map[closer]struct{}
	closed  bool
}

// closer is a server or a client, as far as shutting down goes.
type closer interface {
	shutdown(ctx context.Context) error
	label() string
}

// SystemOption configures a System.
type SystemOption interface{ applySystem(*systemOptions) }

type systemOption func(*systemOptions)

func (f systemOption) applySystem(o *systemOptions) { f(o) }

type systemOptions struct {
	name      string
	log       *slog.Logger
	as        *actor.ActorSystem
	supervise conn.Supervisor
	memory    *memory // nil: the process's
}

// WithName names the system: the first part of its actors' paths. Default
// "callboard", numbered from the second on.
func WithName(name string) SystemOption {
	return systemOption(func(o *systemOptions) { o.name = name })
}

// WithLogger sets where failures are logged. Default slog.Default(), also for
// nil.
func WithLogger(l *slog.Logger) SystemOption {
	return systemOption(func(o *systemOptions) { o.log = l })
}

// WithActorSystem spawns the actors in an actor system of yours. Default: one
// that all systems of the process share.
func WithActorSystem(as *actor.ActorSystem) SystemOption {
	return systemOption(func(o *systemOptions) { o.as = as })
}

var (
	sharedActors  = sync.OnceValue(func() *actor.ActorSystem { return actors.NewSystem(slog.Default()) })
	defaultSystem = sync.OnceValue(func() *System {
		s, err := NewSystem()
		if err != nil {
			panic(fmt.Sprintf("callboard: default system: %v", err)) // only a taken name could do it, and it is numbered
		}
		return s
	})
	systems atomic.Uint64
)

// DefaultSystem is the process's own system, in which servers and clients live
// that were made without naming one.
func DefaultSystem() *System { return defaultSystem() }

// NewSystem makes a system. It costs a few kilobytes: the actor system below is
// shared unless one is given.
//
// Errors: the name is taken in that actor system.
func NewSystem(opts ...SystemOption) (*System, error) {
	var o systemOptions
	for _, opt := range opts {
		opt.applySystem(&o)
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	if o.memory == nil {
		o.memory = processMemory()
	}
	if o.as == nil {
		o.as = sharedActors()
	}
	if o.name == "" {
		o.name = "callboard"
		if n := systems.Add(1); n > 1 {
			o.name = fmt.Sprintf("callboard-%d", n)
		}
	}
	s := &System{
		name: o.name, as: o.as, table: &actors.Table{}, log: o.log, supervise: o.supervise,
		memory: o.memory, closers: map[closer]struct{}{},
	}
	s.events.sys = s
	ref, err := actors.Spawn[any](o.as.Root, o.name, &actors.Spec{Kind: "system", Mode: actors.Goroutine, Table: s.table}, &systemActor{})
	if err != nil {
		return nil, fmt.Errorf("callboard: system %q: %w", o.name, err)
	}
	s.root = ref
	return s, nil
}

// Name is the system's name.
func (s *System) Name() string { return s.name }

// Inspect shows the tree of actors with their states and mailboxes as of now.
// It takes no lock that an actor holds and asks no actor.
func (s *System) Inspect() *inspect.Snapshot { return inspect.Take(s.name, s.table) }

// ErrSystemClosed says that a system was shut down.
var ErrSystemClosed = errors.New("callboard: the system is shut down")

// actorsStopLimit is how long actors may take to stop that have nothing left to
// do; whoever takes longer is stuck.
const actorsStopLimit = 5 * time.Second

// Shutdown drains servers, then closes clients, then stops the actors. It
// returns when nothing is left, or when ctx ends: then what was left is closed
// at once, and the error says what it was. Subscriptions end behind the last
// event; Shutdown does not wait for subscribers.
func (s *System) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var servers, clients []closer
	for c := range s.closers {
		if _, ok := c.(*Server); ok {
			servers = append(servers, c)
		} else {
			clients = append(clients, c)
		}
	}
	s.mu.Unlock()
	errs := shutdownAll(ctx, servers)
	errs = append(errs, shutdownAll(ctx, clients)...)
	s.root.Stop()
	select {
	case <-s.root.Probe().Done():
	case <-time.After(actorsStopLimit):
		errs = append(errs, fmt.Errorf("callboard: %d actors still live", s.table.Len()))
	}
	s.events.close()
	return errors.Join(errs...)
}

func shutdownAll(ctx context.Context, cs []closer) (errs []error) {
	results := make(chan error, len(cs))
	for _, c := range cs {
		go func() {
			if err := c.shutdown(ctx); err != nil {
				results <- fmt.Errorf("%s: %w", c.label(), err)
				return
			}
			results <- nil
		}()
	}
	for range cs {
		if err := <-results; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (s *System) enter(c closer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrSystemClosed
	}
	s.closers[c] = struct{}{}
	return nil
}

func (s *System) leave(c closer) {
	s.mu.Lock()
	delete(s.closers, c)
	s.mu.Unlock()
}

// spawn starts a top-level actor. It is not on the path of an RPC, so it may
// wait for the answer.
func (s *System) spawn(name string, spec *actors.Spec, a actor.Actor) (actors.Ref[any], error) {
	spec.Table = s.table
	m := &spawnChild{name: name, spec: spec, a: a, reply: make(chan spawned, 1)}
	s.root.Tell(m)
	select {
	case r := <-m.reply:
		return r.ref, r.err
	case <-s.root.Probe().Done():
		return actors.Ref[any]{}, ErrSystemClosed
	}
}

// systemActor is the parent of channels and servers.
//
// Messages in: spawnChild. Supervision: a channel or server that panics is
// stopped; its own children went with it.
type systemActor struct{}

type spawnChild struct {
	name  string
	spec  *actors.Spec
	a     actor.Actor
	reply chan spawned // buffered: the actor never waits
}

type spawned struct {
	ref actors.Ref[any]
	err error
}

// Receive implements actor.Actor.
func (*systemActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *spawnChild:
		ref, err := actors.Spawn[any](ctx, m.name, m.spec, m.a)
		for n := 2; errors.Is(err, actor.ErrNameExists); n++ {
			ref, err = actors.Spawn[any](ctx, fmt.Sprintf("%s#%d", m.name, n), m.spec, m.a)
		}
		m.reply <- spawned{ref: ref, err: err}
	case *actor.Started:
		actors.ProbeOf(ctx).SetState("running")
	case *actor.Terminated, *actor.Stopping, *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}
