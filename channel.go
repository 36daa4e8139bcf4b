package callboard

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"

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
// and *balancer.Unused from the balancer.
//
// Messages out: *balancer.Update and *resolver.Failed to the balancer, what the
// ClientConn asked for to both.
//
// States: gRPC's connectivity states; IDLE has neither resolver nor balancer: it
// is so until the first RPC or Connect, and again when the channel was not used
// for its idle timeout.
//
// Supervision: a resolver that panics is restarted with backoff; a balancer goes
// on and builds its policies anew. The last good picker keeps serving.
type channel struct {
	edge     *channelEdge
	settle   func(*resolver.Update) (*balancer.Update, error) // what the service config makes of it
	resolver resolver.Config
	balancer balancer.Config
	self     actors.Ref[any]
	res      actors.Ref[any]
	bal      actors.Ref[any]
	state    connectivity.State
	heard    *resolver.Update           // last
	leaving  map[string]actors.Ref[any] // what was told to stop, by actor id: balancers, and as zero Refs resolvers
	wakes    int                        // since nothing was leaving
	closed   bool
	limit    *actors.Timer // of closing
}

// closeLimit is how long closing may take that does not hurt: for GOAWAY to
// leave and RPCs to hear why.
const closeLimit = time.Second

type (
	connect      struct{ now bool } // now: the application asks, not an RPC
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
		c.resolved(m)
	case *resolver.Failed:
		c.heardFailure(m)
		c.edge.resolved()
		c.tellBalancer(m)
	case *connect:
		c.connect(ctx, m)
	case *resetBackoff:
		c.tellBalancer(&balancer.ResetBackoff{})
	case *balancer.Unused:
		c.unused(m)
	case *closeChannel:
		c.close(ctx)
	case *closeNow:
		ctx.Stop(ctx.Self())
	case *actor.Started:
		c.self = actors.Self[any](ctx)
		c.state, c.leaving = connectivity.Idle, map[string]actors.Ref[any]{}
		c.self.Probe().SetState(connectivity.Idle.String())
		c.limit = actors.NewTimer(func(uint64) { c.self.Tell(&closeNow{}) })
	case *actor.Terminated:
		c.gone(ctx, m.Who)
	case *actor.Stopping:
		c.limit.Close()
		if !c.closed { // it panicked, or the system goes: RPCs must not wait for ever
			c.publish(balancer.NewPicker(connectivity.Shutdown, errChannelGone))
		}
	case *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

func (c *channel) tellBalancer(m any) {
	if c.bal.Valid() {
		c.bal.Tell(m)
	}
}

// resolved settles what the resolver's answer means. A service config that is of
// no use leaves the last good one in force; where there is none, RPCs hear of it
// (gRPC's service_config.md).
func (c *channel) resolved(m *resolver.Update) {
	c.heardUpdate(m)
	u, err := c.settle(m)
	c.edge.resolved()
	if err != nil {
		c.tellBalancer(&resolver.Failed{Err: err})
		return
	}
	c.tellBalancer(u)
}

func (c *channel) connect(ctx actor.Context, m *connect) {
	c.edge.asked.Store(false)
	switch {
	case c.closed:
	case c.bal.Valid():
		c.bal.Tell(&balancer.Connect{Now: m.now})
	case c.spawnChildren(ctx):
		c.bal.Tell(&balancer.Connect{Now: m.now})
	}
}

func (c *channel) spawnChildren(ctx actor.Context) bool {
	c.resolver.Parent, c.balancer.Parent = c.self, c.self
	as := c.suffix()
	var err error
	if c.bal, err = balancer.Spawn(ctx, "balancer"+as, c.balancer); err == nil {
		if c.res, err = resolver.Spawn(ctx, "resolver"+as, c.resolver); err == nil {
			c.edge.around.resolver.Store(c.res.Probe())
		}
	}
	if err != nil {
		c.edge.resolved()
		c.publish(balancer.NewPicker(connectivity.TransientFailure, err))
		return false
	}
	// Resolving is part of connecting, as gRPC's states have it.
	c.publish(balancer.NewPicker(connectivity.Connecting, nil))
	return true
}

// suffix tells the names of new children from those of children that are leaving:
// an RPC of before idleness may take its time.
func (c *channel) suffix() string {
	if len(c.leaving) == 0 {
		c.wakes = 0
	}
	if c.wakes++; c.wakes == 1 {
		return ""
	}
	return "#" + strconv.Itoa(c.wakes)
}

func (c *channel) published(m *balancer.Published) {
	if c.closed || m.From != c.bal {
		return
	}
	if m.Picker != nil {
		c.publish(m.Picker)
	}
	if m.Resolve {
		c.res.Tell(&resolver.ResolveNow{})
	}
}

// publish puts a picker in force, and only then says so: whoever hears of READY
// may use it.
func (c *channel) publish(p *balancer.Picker) {
	was := c.state
	c.state = p.State
	c.edge.set(p)
	if was != p.State {
		c.self.Probe().BecomeWith(was.String(), p.State.String(), "picker", p.Err)
	}
}

// unused lets resolver and balancer go. An RPC that waits has not been counted by
// the connections; one that comes from here on wakes the channel again; and one
// that has come since they were looked at is served to its end.
func (c *channel) unused(m *balancer.Unused) {
	if c.closed || m.From != c.bal || c.edge.waiting.Load() > 0 {
		return
	}
	c.publish(balancer.NewPicker(connectivity.Idle, nil))
	c.bal.Tell(&balancer.Stop{Reason: "the channel is idle", Drain: true})
	c.leave()
}

// leave lets go of the children. The balancer has been told to stop, or is about
// to be.
func (c *channel) leave() {
	if c.bal.Valid() {
		c.leaving[c.bal.PID().Id] = c.bal
	}
	if c.res.Valid() {
		c.leaving[c.res.PID().Id] = actors.Ref[any]{}
		c.res.Stop()
	}
	c.res, c.bal = actors.Ref[any]{}, actors.Ref[any]{}
}

func (c *channel) gone(ctx actor.Context, who *actor.PID) {
	delete(c.leaving, who.Id)
	c.stopIfOver(ctx)
}

func (c *channel) stopIfOver(ctx actor.Context) {
	if c.closed && len(c.leaving) == 0 {
		ctx.Stop(ctx.Self())
	}
}

func (c *channel) close(ctx actor.Context) {
	if c.closed {
		return
	}
	c.closed = true
	c.publish(balancer.NewPicker(connectivity.Shutdown, errClientClosing))
	c.leave()
	// Balancers stop behind their last connection; its RPCs hear why by then.
	for _, b := range c.leaving {
		b.Tell(&balancer.Stop{Reason: errClientClosing.Error()})
	}
	c.limit.Reset(closeLimit)
	c.stopIfOver(ctx)
}

// HandleFailure implements actor.SupervisorStrategy for resolver and balancer.
// Restarting a balancer would stop its children, and with them every RPC in
// flight, for what is a policy's fault.
func (c *channel) HandleFailure(as *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	bal, leaves := c.leaving[child.Id]
	if !leaves && c.bal.Valid() && c.bal.PID().Id == child.Id {
		bal = c.bal
	}
	switch {
	case bal.Valid():
		resumeBalancer.HandleFailure(as, sup, child, rs, reason, message)
		bal.Tell(&balancer.Recovered{Reason: reason})
	case leaves:
		stopResolver.HandleFailure(as, sup, child, rs, reason, message)
	default:
		restartChildren.HandleFailure(as, sup, child, rs, reason, message)
		// RPCs that do not wait for ready hear of it while the restart is due.
		c.self.Tell(&resolver.Failed{Err: fmt.Errorf("resolver: %v", reason)})
	}
}

var (
	restartChildren = actors.RestartFailed(actors.GRPCBackoff)
	stopResolver    = actors.StopFailed()
	resumeBalancer  = actors.OnFailure(func(*actor.PID, any, any) actors.Directive { return actors.Resume })
)

var (
	errClientClosing = errors.New("the client connection is closing")
	errChannelGone   = errors.New("the channel's actor has stopped")
)
