package balancer

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/resolver"
)

// tree is the tree of policies and what is in force of what it published.
type tree struct {
	root       policy.Policy
	registry   policy.Registry
	fx         policy.Effects
	host       *host
	generation int // of root: it is built anew after a panic
	last       *Update
	lastFailed *resolver.Failed // after last
	lastErr    error            // of resolving or connecting, until something is READY
	timer      *actors.Timer
	wake       time.Time // what timer is set to; zero: nothing, or rebuilding

	state    connectivity.State
	picker   *Picker // root's
	shown    *Picker // the one in force: root's, but for shadow
	broken   bool
	panics   int
	panicked time.Time // last
	shadow   bool      // the new tree is not READY yet, and the old one's picker still serves
}

func (b *balancer) plant(self actors.Ref[any], r policy.Registry) {
	b.registry = r
	b.host = &host{b: b, self: self, guests: map[*hosted]bool{}}
	b.fx.Host = b.host
	b.root = policy.NewSwitch(r)
	b.state = connectivity.Connecting
	b.timer = actors.NewTimer(func(gen uint64) { self.Tell(&woken{gen: gen}) })
}

// step gives the policies an event and performs what they ask for. A tree that
// has panicked gets no more.
func (b *balancer) step(ctx actor.Context, ev policy.Event) {
	if b.broken || b.stopping {
		return
	}
	b.fx.Reset()
	b.root.Step(ev, time.Now(), &b.fx)
	b.perform(ctx)
}

// perform does what the policies ask for, in the order of the fields.
func (b *balancer) perform(ctx actor.Context) {
	fx := &b.fx
	for i := range fx.Create {
		b.create(ctx, &fx.Create[i])
	}
	b.host.perform()
	for _, s := range fx.Connect {
		if c := b.child(s); c != nil {
			c.ref.Tell(&Connect{})
		}
	}
	for _, s := range fx.Remove {
		if c := b.child(s); c != nil {
			b.remove(c)
		}
	}
	for _, r := range fx.Report {
		if c := b.child(r.Subchannel); c != nil {
			c.interval = r.Interval
			c.ref.Tell(&Report{Interval: r.Interval})
		}
	}
	if fx.Publish != nil {
		b.publish(*fx.Publish)
	}
	if fx.Resolve {
		b.cfg.Parent.Tell(&Published{From: b.self, Resolve: true})
	}
	if w := fx.Wake; !w.IsZero() && (b.wake.IsZero() || w.Before(b.wake)) {
		b.wake = w
		b.timer.Reset(time.Until(w))
	}
}

// publish puts a policy's picker in force. That of a new tree replaces the one
// before only when it serves, or when the old one does not any more.
func (b *balancer) publish(s policy.State) {
	b.state = s.Connectivity
	p := &Picker{State: s.Connectivity, policy: s.Picker, tell: b.self}
	b.picker = p
	if b.shadow {
		if s.Connectivity != connectivity.Ready {
			return
		}
		b.endShadow()
	}
	b.force()
}

// force sends the channel the picker, also when it is the one it has: RPCs that
// wait pick once more.
func (b *balancer) force() {
	if !b.shadow {
		b.shown = b.picker
	}
	if b.shown == nil || b.stopping {
		return
	}
	p := *b.shown
	switch {
	case p.State != connectivity.Ready:
		p.Err, p.Subchannels = b.lastErr, b.situations()
	case !b.shadow:
		b.lastErr = nil
	}
	b.self.Probe().SetState(p.State.String())
	b.cfg.Parent.Tell(&Published{From: b.self, Picker: &p})
}

// awake: a subchannel has a connection again without having changed its state.
func (b *balancer) awake(m *Awake) {
	if c := b.subs[m.Subchannel]; c != nil && !c.removed {
		b.force()
	}
}

func (b *balancer) poked(ctx actor.Context) {
	b.host.poke.Store(false)
	// A wish nobody has made reaches every policy, and means something only to
	// one that has something to say.
	b.step(ctx, &policy.Wanted{})
}
