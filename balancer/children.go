package balancer

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// child is a subchannel as the balancer knows it.
type child struct {
	handle     *policy.Subchannel
	ref        actors.Ref[any]
	addrs      []grpcresolver.Address
	noHealth   bool
	interval   time.Duration // of load reports; 0: none
	listener   *listener     // of a hosted policy's health checks, or nil
	state      connectivity.State
	held       bool
	situation  Situation
	removed    bool
	dead       bool          // its actor is no more, and the next one is not there yet
	generation int           // of the tree that made it
	successor  int           // how many of its actors have panicked
	timer      *actors.Timer // until the next one
}

func (b *balancer) child(s *policy.Subchannel) *child {
	c := b.subs[s.ID]
	if c == nil || c.handle != s || c.removed {
		return nil
	}
	return c
}

func (b *balancer) create(ctx actor.Context, n *policy.Create) {
	s := n.Subchannel
	if _, twice := b.subs[s.ID]; twice {
		return
	}
	c := &child{
		handle: s, addrs: slices.Clone(n.Addresses), noHealth: n.NoHealth, state: connectivity.Idle, generation: b.generation,
	}
	c.timer = actors.NewTimer(func(gen uint64) { b.self.Tell(&respawn{id: s.ID, gen: gen}) })
	b.subs[s.ID] = c
	b.spawn(ctx, c)
}

func (b *balancer) spawn(ctx actor.Context, c *child) {
	name := "subchannel-" + strconv.FormatUint(c.handle.ID, 10)
	if c.successor > 0 {
		name += "." + strconv.Itoa(c.successor)
	}
	e, _ := c.handle.Edge.(*edge)
	e.set(nil)
	sub := &subchannel{cfg: &b.cfg, id: c.handle.ID, edge: e, balancer: b.self, list: c.addrs, notBefore: b.until(c.addrs)}
	ref, err := spawnSubchannel(ctx, name, sub)
	c.dead = err != nil
	if err != nil {
		b.self.Tell(&Changed{Subchannel: c.handle.ID, State: connectivity.TransientFailure, Err: err, forDead: true})
		return
	}
	c.ref = ref
	if b.last != nil && b.last.HealthService != nil {
		c.watch(b.last.HealthService)
	}
	if c.interval > 0 {
		ref.Tell(&Report{Interval: c.interval})
	}
}

// watch tells the subchannel which health service decides about its state.
func (c *child) watch(service *string) {
	switch {
	case c.listener != nil:
		c.ref.Tell(&Watch{Service: service, Listen: true})
	case !c.noHealth:
		c.ref.Tell(&Watch{Service: service})
	}
}

func (b *balancer) remove(c *child) {
	c.removed = true
	c.timer.Stop()
	c.ref.Tell(&Remove{})
	if c.dead {
		b.forget(c) // there is no actor that could say that it ends
	}
}

func (b *balancer) forget(c *child) {
	c.timer.Close()
	if e, ok := c.handle.Edge.(*edge); ok {
		begun, _ := e.usage.count()
		b.idle.retired += begun
	}
	delete(b.subs, c.handle.ID)
}

func (b *balancer) changed(ctx actor.Context, m *Changed) {
	c := b.subs[m.Subchannel]
	if c == nil || c.removed && m.State != connectivity.Shutdown || b.stopping {
		return
	}
	if c.dead && !m.forDead {
		return // it has panicked since: news of its end overtakes what it said before
	}
	was := c.state
	c.state, c.held, c.situation = m.State, m.Held, m.Situation
	if m.Err != nil {
		b.lastErr = m.Err
	}
	if m.Until.After(time.Now()) {
		b.avoid(c.addrs, m.Until)
	}
	before := b.picker
	if c.generation == b.generation {
		b.step(ctx, &policy.Changed{Subchannel: c.handle, State: m.State, Err: m.Err})
	} else {
		b.shadowFaded()
	}
	// RPCs that met the subchannel in its old state must not wait for the rest
	// of their lives where a policy sees nothing new in the new one.
	// And those that wait are told how the subchannels stand that they wait for;
	// of many, a picker tells of the worst only.
	ready := was == connectivity.Ready || m.State == connectivity.Ready
	if b.picker == before && was != m.State && (ready || b.state != connectivity.Ready && len(b.subs) <= MaxSituations) {
		b.force()
	}
}

// gone: a subchannel's actor has stopped. One that was not told to has panicked,
// and is replaced, but not at once: it may well panic again.
func (b *balancer) gone(ctx actor.Context, who *actor.PID) {
	for id, c := range b.subs {
		if !c.ref.Valid() || c.ref.PID().Id != who.Id {
			continue
		}
		if c.removed || b.stopping {
			b.forget(c)
			break
		}
		c.successor++
		c.dead = true
		c.timer.Reset(actors.GRPCBackoff.Delay(c.successor))
		b.changed(ctx, &Changed{Subchannel: id, State: connectivity.TransientFailure, Err: fmt.Errorf("%s has panicked", who.Id), forDead: true})
		break
	}
	b.stopIfOver(ctx)
}

func (b *balancer) respawn(ctx actor.Context, m *respawn) {
	c := b.subs[m.id]
	if c == nil || c.removed || b.stopping || !c.timer.Current(m.gen) {
		return
	}
	b.spawn(ctx, c) // and it says that it is IDLE
}

// avoid remembers for how long a supervisor wants no attempts: a policy may give
// an address to another subchannel meanwhile.
func (b *balancer) avoid(addrs []grpcresolver.Address, until time.Time) {
	now := time.Now()
	for a, at := range b.avoided {
		if !at.After(now) {
			delete(b.avoided, a)
		}
	}
	if len(addrs) == 1 {
		b.avoided[addrs[0].Addr] = until
	}
}

func (b *balancer) until(addrs []grpcresolver.Address) time.Time {
	if len(addrs) != 1 {
		return time.Time{}
	}
	return b.avoided[addrs[0].Addr]
}

// healthy passes on what a hosted policy wants to hear.
func (b *balancer) healthy(m *Healthy) {
	c := b.subs[m.Subchannel]
	if c == nil || c.removed || c.listener == nil || c.state != connectivity.Ready {
		return
	}
	c.listener.report(m.State, m.Err) // which makes the policy ask for its turn
}
