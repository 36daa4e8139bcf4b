// Package balancer turns endpoints into subchannels and subchannels into a
// picker.
//
// # Role
//
// The balancer actor owns its subchannels. Which endpoints it connects to, and
// what the picker chooses from, is its policy's business; today that is
// pick_first (pick_first.go).
//
// # Messages in
//
// *resolver.Update, *resolver.Failed, Connect, ResetBackoff and Stop from the
// channel; Changed from subchannels.
//
// # Messages out
//
// Published to the channel. Addresses, Connect, ResetBackoff and Stop to
// subchannels.
//
// # States
//
// gRPC's connectivity states, as the policy aggregates them.
//
// # Supervision
//
// A subchannel that panics is stopped and replaced. The balancer itself is
// restarted by the channel and rebuilt from the last resolver update; the last
// picker keeps serving meanwhile.
package balancer

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
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
	Parent            actors.Ref[any]
	Table             *actors.Table
}

type dialFunc = func(ctx context.Context, a grpcresolver.Address) (net.Conn, credentials.AuthInfo, conn.FailureKind, error)

type balancer struct {
	cfg  Config
	self actors.Ref[any]
	pf   pickFirst
	subs map[int]actors.Ref[any]
	n    int

	last     *resolver.Update
	wanted   bool // Connect came before there was anything to connect
	stopping bool
	timer    *actors.Timer // until a subchannel that panicked is replaced
	panics   int
}

// Spawn starts a balancer as a child of ctx's actor.
func Spawn(ctx actor.SpawnerContext, cfg Config) (actors.Ref[any], error) {
	sp := &actors.Spec{Kind: "balancer", Mode: actors.Goroutine, Table: cfg.Table}
	return actors.SpawnFunc[any](ctx, "balancer", sp, func() actor.Actor {
		return &balancer{cfg: cfg, subs: map[int]actors.Ref[any]{}}
	})
}

// Receive implements actor.Actor.
func (b *balancer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Changed:
		b.changed(m)
	case *Connect:
		b.wanted = len(b.subs) == 0
		b.all(m)
	case *ResetBackoff:
		b.all(m)
	case *Stop:
		b.stop(ctx, m)
	case *replace:
		b.replace(ctx, m)
	case *resolver.Update:
		b.update(ctx, m)
	case *resolver.Failed:
		b.publish(b.pf.resolveFailed(m.Err), false)
	case *actor.Started:
		b.self = actors.Self[any](ctx)
		b.self.Probe().SetState(connectivity.Idle.String())
		b.timer = actors.NewTimer(func(gen uint64) { b.self.Tell(&replace{gen: gen}) })
	case *actor.Terminated:
		b.gone(ctx, m.Who)
	case *actor.Stopping, *actor.Restarting:
		b.timer.Close()
	case *actor.Stopped:
	default:
		actors.Unhandled(ctx)
	}
}

// update gives the one subchannel of pick_first its addresses. A connection
// whose address is still offered is kept.
func (b *balancer) update(ctx actor.Context, m *resolver.Update) {
	b.last = m
	if b.stopping || b.panics > 0 && len(b.subs) == 0 {
		return // the one that replaces it gets them
	}
	if len(b.subs) == 0 {
		b.n++
		ref, err := spawnSubchannel(ctx, "subchannel-"+strconv.Itoa(b.n), b.n, &b.cfg, b.self)
		if err != nil {
			b.publish(b.pf.resolveFailed(err), false)
			return
		}
		b.subs[b.n] = ref
	}
	b.pf.known = true
	list := flatten(m.Endpoints)
	for _, s := range b.subs {
		s.Tell(&Addresses{List: list})
		if b.wanted {
			s.Tell(&Connect{})
		}
	}
	b.wanted = false
}

func (b *balancer) changed(m *Changed) {
	if _, ok := b.subs[m.Subchannel]; !ok {
		return
	}
	if m.State == connectivity.Ready {
		b.panics = 0
	}
	// Whether a connection was lost or cannot be made: the addresses may be old.
	b.publish(b.pf.changed(m), m.Lost || m.State == connectivity.TransientFailure)
}

// stop ends the subchannels; the balancer stops behind the last of them.
func (b *balancer) stop(ctx actor.Context, m *Stop) {
	b.stopping = true
	b.timer.Stop()
	b.all(m)
	if len(b.subs) == 0 {
		ctx.Stop(ctx.Self())
	}
}

// gone: a subchannel has stopped. One that was not told to has panicked, and is
// replaced, but not at once: it may well panic again.
func (b *balancer) gone(ctx actor.Context, who *actor.PID) {
	for i, s := range b.subs {
		if s.PID().Id != who.Id {
			continue
		}
		delete(b.subs, i)
		if b.stopping {
			break
		}
		b.panics++
		b.publish(b.pf.changed(&Changed{State: connectivity.TransientFailure, Err: fmt.Errorf("%s panicked", who.Id)}), true)
		b.timer.Reset(actors.GRPCBackoff.Delay(b.panics))
	}
	if b.stopping && len(b.subs) == 0 {
		ctx.Stop(ctx.Self())
	}
}

func (b *balancer) replace(ctx actor.Context, m *replace) {
	if !b.timer.Current(m.gen) || b.stopping {
		return
	}
	n := b.panics
	b.panics, b.wanted = 0, true
	b.update(ctx, b.last)
	b.panics = n
}

func (b *balancer) all(m any) {
	for _, s := range b.subs {
		s.Tell(m)
	}
}

func (b *balancer) publish(p *Picker, resolve bool) {
	if p == nil {
		return
	}
	b.self.Probe().SetState(p.State.String())
	b.cfg.Parent.Tell(&Published{Picker: p, Resolve: resolve})
}

func flatten(eps []grpcresolver.Endpoint) (list []grpcresolver.Address) {
	for _, e := range eps {
		list = append(list, e.Addresses...)
	}
	return list
}
