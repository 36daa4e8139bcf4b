package callboard

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/resolver"
)

// channel is the actor behind a ClientConn.
//
// Role: owns resolver and balancer, publishes the picker.
//
// Messages in: connect, resetBackoff and closeChannel from the ClientConn,
// *resolver.Update and *resolver.Failed from the resolver, *balancer.Published
// from the balancer.
//
// Messages out: *resolver.Update and *resolver.Failed to the balancer, what the
// ClientConn asked for to both.
//
// States: gRPC's connectivity states; IDLE has neither resolver nor balancer
// until the first RPC or Connect.
//
// Supervision: resolver and balancer are restarted with backoff; the last good
// picker keeps serving, and a balancer is rebuilt from the last update.
type channel struct {
	edge     *channelEdge
	offered  func(*serviceconfig.ParseResult) // the resolver's service config
	resolver resolver.Config
	balancer balancer.Config
	self     actors.Ref[any]
	res      actors.Ref[any]
	bal      actors.Ref[any]
	last     *resolver.Update
	closed   bool
	limit    *actors.Timer // of closing
}

// closeLimit is how long closing may take that does not hurt: for GOAWAY to
// leave and RPCs to hear why.
const closeLimit = time.Second

type (
	connect      struct{}
	resetBackoff struct{}
	closeChannel struct{}
	closeNow     struct{} // closeLimit is over
)

// Receive implements actor.Actor.
func (c *channel) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *balancer.Published:
		c.published(m)
	case *resolver.Update:
		c.last = m
		c.offered(m.Config)
		c.edge.resolved()
		c.bal.Tell(m)
	case *resolver.Failed:
		c.edge.resolved()
		c.bal.Tell(m)
	case *connect:
		c.connect(ctx)
	case *resetBackoff:
		c.bal.Tell(&balancer.ResetBackoff{})
	case *closeChannel:
		c.close(ctx)
	case *closeNow:
		ctx.Stop(ctx.Self())
	case *actor.Started:
		c.self = actors.Self[any](ctx)
		c.self.Probe().SetState(connectivity.Idle.String())
		c.limit = actors.NewTimer(func(uint64) { c.self.Tell(&closeNow{}) })
	case *actor.Terminated:
		if c.closed && c.bal.PID().Id == m.Who.Id {
			ctx.Stop(ctx.Self())
		}
	case *actor.Stopping:
		c.limit.Close()
		if !c.closed { // it panicked, or the system goes: RPCs must not wait for ever
			c.publish(&balancer.Picker{State: connectivity.Shutdown, Err: errChannelGone})
		}
	case *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

func (c *channel) connect(ctx actor.Context) {
	if c.closed {
		return
	}
	if !c.bal.Valid() && !c.spawnChildren(ctx) {
		return
	}
	c.bal.Tell(&balancer.Connect{})
}

func (c *channel) spawnChildren(ctx actor.Context) bool {
	c.resolver.Parent, c.balancer.Parent = c.self, c.self
	var err error
	if c.bal, err = balancer.Spawn(ctx, c.balancer); err == nil {
		c.res, err = resolver.Spawn(ctx, c.resolver)
	}
	if err != nil {
		c.edge.resolved()
		c.publish(&balancer.Picker{State: connectivity.TransientFailure, Err: err})
		return false
	}
	// Resolving is part of connecting, as gRPC's states have it.
	c.publish(&balancer.Picker{State: connectivity.Connecting})
	return true
}

func (c *channel) published(m *balancer.Published) {
	if c.closed {
		return
	}
	c.publish(m.Picker)
	if m.Resolve {
		c.res.Tell(&resolver.ResolveNow{})
	}
}

func (c *channel) publish(p *balancer.Picker) {
	c.self.Probe().SetState(p.State.String())
	c.edge.set(p)
}

func (c *channel) close(ctx actor.Context) {
	if c.closed {
		return
	}
	c.closed = true
	c.publish(&balancer.Picker{State: connectivity.Shutdown, Err: errClientClosing})
	if !c.bal.Valid() {
		ctx.Stop(ctx.Self())
		return
	}
	// The balancer stops behind the last connection; its RPCs hear why by then.
	c.bal.Tell(&balancer.Stop{Reason: errClientClosing.Error()})
	c.limit.Reset(closeLimit)
}

// HandleFailure implements actor.SupervisorStrategy for resolver and balancer.
func (c *channel) HandleFailure(as *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	restartChildren.HandleFailure(as, sup, child, rs, reason, message)
	switch {
	case c.res.Valid() && c.res.PID().Id == child.Id:
		// RPCs that do not wait for ready hear of it while the restart is due.
		c.self.Tell(&resolver.Failed{Err: fmt.Errorf("resolver: %v", reason)})
	case c.last != nil && c.bal.Valid() && c.bal.PID().Id == child.Id:
		c.bal.Tell(c.last)
		c.bal.Tell(&balancer.Connect{}) // its connections went with it
	}
}

var restartChildren = actors.RestartFailed(actors.GRPCBackoff)

var (
	errClientClosing = errors.New("the client connection is closing")
	errChannelGone   = errors.New("the channel's actor has stopped")
)
