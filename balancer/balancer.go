// Package balancer turns endpoints into subchannels and subchannels into a
// picker.
//
// # Role
//
// The balancer actor steps a tree of policies (package policy), performs what
// they ask for and publishes their picker. Which endpoints are connected to,
// and what the picker chooses from, is the policies' business.
//
// # Messages in
//
// Update, *resolver.Failed, Connect, ResetBackoff, Recovered and Stop from the
// channel; Changed, Healthy, Loaded and Awake from subchannels.
//
// # Messages out
//
// Published and Unused to the channel. Connect, ResetBackoff, Addresses, Watch,
// Report, News, Release, Remove and Stop to subchannels.
//
// # States
//
// gRPC's connectivity states, as the root policy aggregates them.
//
// # Supervision
//
// A subchannel that panics is stopped and replaced, with backoff. When the
// balancer panics, which is to say a policy in it, it keeps its subchannels and
// the last picker keeps serving; new policies are built from the last update,
// with backoff, and the old subchannels go when the new ones have come up.
package balancer

import (
	"context"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/resolver"
)

// Config describes a balancer and its subchannels.
type Config struct {
	// Dial connects to an address and performs the transport's handshake. It
	// runs on a goroutine of its own and may block until ctx ends.
	Dial dialFunc
	// Conn makes the configuration of a new connection, which Dial has secured.
	Conn              func(credentials.AuthInfo) conn.Config
	Backoff           backoff.Config
	MinConnectTimeout time.Duration
	Supervise         conn.Supervisor // nil: always default
	Jitter            func() float64  // in [0, 1)
	Rand              func() uint64   // in [0, 1<<63), for policies; nil: math/rand's
	Registry          policy.Registry // of policies
	// MaxConns is how many connections a subchannel may have at a time, when
	// the peer's MAX_CONCURRENT_STREAMS is not enough (gRFC A105); 0: 1.
	MaxConns int
	// IdleTimeout is how long the channel may be without an RPC before Unused
	// says so; 0: for ever.
	IdleTimeout time.Duration
	// Health watches a service's health on a connection (gRFC A17) and reports
	// until ctx ends. It runs on a goroutine of its own. nil: no checks.
	Health func(ctx context.Context, c Conn, service string, report func(connectivity.State, error))
	// Loads streams out-of-band load reports of a connection (gRFC A51) until
	// ctx ends. It runs on a goroutine of its own. nil: there are none.
	Loads  func(ctx context.Context, c Conn, interval time.Duration, report func(*policy.Load))
	Parent actors.Ref[any]
	Table  *actors.Table
}

type dialFunc = func(ctx context.Context, a grpcresolver.Address) (net.Conn, credentials.AuthInfo, conn.FailureKind, error)

type balancer struct {
	cfg  Config
	self actors.Ref[any]
	tree
	subs     map[uint64]*child
	avoided  map[string]time.Time // addresses that a supervisor wants no attempt of before
	stopping bool
	idle     idleness
}

// Spawn starts a balancer as a child of ctx's actor.
func Spawn(ctx actor.SpawnerContext, name string, cfg Config) (actors.Ref[any], error) {
	if cfg.Rand == nil {
		cfg.Rand = random
	}
	sp := &actors.Spec{Kind: "balancer", Mode: actors.Goroutine, Table: cfg.Table}
	return actors.SpawnFunc[any](ctx, name, sp, func() actor.Actor {
		return &balancer{cfg: cfg, subs: map[uint64]*child{}, avoided: map[string]time.Time{}}
	})
}

// Receive implements actor.Actor.
func (b *balancer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Changed:
		b.changed(ctx, m)
	case *Update:
		b.update(ctx, m)
	case *resolver.Failed:
		b.failed(ctx, m)
	case *Connect:
		b.connect(ctx, m)
	case *wanted:
		b.release(false)
		b.step(ctx, m.w)
	case *poked:
		b.poked(ctx)
	case *Loaded:
		b.loaded(ctx, m)
	case *Healthy:
		b.healthy(m)
	case *Awake:
		b.awake(m)
	case *ResetBackoff:
		b.all(m)
		b.step(ctx, &policy.ResetBackoff{})
	case *woken:
		b.woken(ctx, m)
	case *look:
		b.look(m)
	case *respawn:
		b.respawn(ctx, m)
	case *Recovered:
		b.recovered(m)
	case *Stop:
		b.stop(ctx, m)
	case *actor.Started:
		b.start(ctx)
	case *actor.Terminated:
		b.gone(ctx, m.Who)
	case *actor.Stopping, *actor.Restarting:
		b.closeTimers()
	case *actor.Stopped:
	default:
		actors.Unhandled(ctx)
	}
}

func (b *balancer) start(ctx actor.Context) {
	b.self = actors.Self[any](ctx)
	b.self.Probe().SetState(connectivity.Idle.String())
	b.plant(b.self, b.cfg.Registry)
	b.idle.start(b.self, b.cfg.IdleTimeout)
}

func (b *balancer) closeTimers() {
	b.timer.Close()
	b.idle.timer.Close()
	for _, c := range b.subs {
		c.timer.Close()
	}
}

func (b *balancer) update(ctx actor.Context, m *Update) {
	if b.stopping {
		return
	}
	news := b.last == nil || !SameEndpoints(b.last.Endpoints, m.Endpoints)
	watch := b.last != nil && !sameService(b.last.HealthService, m.HealthService)
	b.last, b.lastFailed = m, nil
	if news {
		b.all(&News{})
	}
	if watch {
		for _, c := range b.subs {
			c.watch(m.HealthService)
		}
	}
	b.step(ctx, policyUpdate(m))
}

func policyUpdate(m *Update) *policy.Update {
	return &policy.Update{Endpoints: m.Endpoints, Config: m.Choice, Hosted: m.State}
}

func (b *balancer) failed(ctx actor.Context, m *resolver.Failed) {
	b.lastFailed = m
	b.lastErr = m.Err
	b.step(ctx, &policy.Failed{Err: m.Err})
}

// connect: an RPC waits, or the application wants a connection. What a
// supervisor has stopped is released before the policies ask for it.
func (b *balancer) connect(ctx actor.Context, m *Connect) {
	b.release(m.Now)
	b.step(ctx, &policy.ExitIdle{})
}

func (b *balancer) release(now bool) {
	for _, c := range b.subs {
		if c.held && !c.removed {
			c.ref.Tell(&Release{Now: now})
		}
	}
}

func (b *balancer) loaded(ctx actor.Context, m *Loaded) {
	if c := b.subs[m.Subchannel]; c != nil && !c.removed {
		b.step(ctx, &policy.Loaded{Subchannel: c.handle, Report: m.Report})
	}
}

func (b *balancer) woken(ctx actor.Context, m *woken) {
	switch {
	case !b.timer.Current(m.gen) || b.stopping:
	case b.broken:
		b.rebuild(ctx)
	default:
		b.wake = time.Time{}
		b.step(ctx, &policy.Tick{})
	}
}

// stop ends the subchannels and the policies; the balancer stops behind the last
// subchannel.
func (b *balancer) stop(ctx actor.Context, m *Stop) {
	if m.Drain {
		b.all(&Remove{})
	} else {
		b.all(m)
	}
	if b.stopping {
		return
	}
	defer b.stopped(ctx) // also when a policy panics at its end
	b.step(ctx, &policy.Close{})
}

func (b *balancer) stopped(ctx actor.Context) {
	b.stopping = true
	b.host.abandon()
	b.closeTimers()
	for _, c := range b.subs {
		if c.dead {
			b.forget(c) // there is no actor that could say that it ends
		}
	}
	b.stopIfOver(ctx)
}

func (b *balancer) stopIfOver(ctx actor.Context) {
	if b.stopping && len(b.subs) == 0 {
		ctx.Stop(ctx.Self())
	}
}

func (b *balancer) all(m any) {
	for _, c := range b.subs {
		c.ref.Tell(m)
	}
}

func sameService(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// SameEndpoints says whether two lists are the same as far as connections go: in
// addresses and server names, and in order.
func SameEndpoints(a, b []grpcresolver.Endpoint) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameAddresses(a[i].Addresses, b[i].Addresses) {
			return false
		}
	}
	return true
}
