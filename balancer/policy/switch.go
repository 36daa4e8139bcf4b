package policy

import (
	"fmt"
	"time"

	"google.golang.org/grpc/connectivity"
)

// DefaultPolicy is the policy of a channel whose service config chooses none.
const DefaultPolicy = PickFirstName

// Switch is the root of a tree of policies, and every container's slot for a
// child: it changes from one policy to another without a gap.
//
// The configuration of its updates is a Choice; one without a Builder, or nil,
// chooses DefaultPolicy. An update that names the policy in force is passed to
// it. One that names another builds that beside the policy in force:
//
//	       other name                READY, IDLE or TRANSIENT_FAILURE
//	current ────────> current READY ──────────────────────────────────> pending
//	                  + pending       or current is READY no more       is current
//	                    CONNECTING
//
// Meanwhile picks go to the current policy, updates to the pending one. The
// policy that is left is closed in the same step in which the other's picker is
// published.
type Switch struct {
	registry Registry
	of       lineage
	current  *candidate
	pending  *candidate // only while current is READY and this one CONNECTING
	closed   bool
}

type candidate struct {
	*child
	name string
}

// NewSwitch makes a Switch that looks DefaultPolicy up in r and gives r to the
// policies it builds.
func NewSwitch(r Registry) *Switch {
	return &Switch{registry: r, of: lineage{}}
}

// Step implements Policy.
func (w *Switch) Step(ev Event, now time.Time, fx *Effects) {
	if w.closed {
		return
	}
	switch ev := ev.(type) {
	case *Update:
		w.update(ev, now, fx)
	case *Failed:
		if c := w.latest(); c != nil {
			c.step(ev, now, fx)
		} else {
			fx.SetState(connectivity.TransientFailure, Failing{ev.Err})
		}
	case *Changed:
		w.of.deliver(ev.Subchannel, ev, now, fx)
	case *Loaded:
		w.of.deliver(ev.Subchannel, ev, now, fx)
	case *ExitIdle:
		// While both exist the current one is READY: there is nothing to wake.
		if c := w.latest(); c != nil {
			c.step(ev, now, fx)
		}
	case *ResetBackoff, *Wanted:
		w.each(func(c *candidate) { c.step(ev, now, fx) })
	case *Tick:
		w.each(func(c *candidate) { c.tick(now, fx) })
	case *Close:
		w.each(func(c *candidate) { c.close(now, fx) })
		w.current, w.pending, w.closed = nil, nil, true
	}
	w.settle(now, fx)
}

func (w *Switch) update(ev *Update, now time.Time, fx *Effects) {
	choice, err := w.choice(ev.Config)
	if err != nil {
		// The channel's parser reports it first; here a good policy goes on.
		if w.latest() == nil {
			fx.SetState(connectivity.TransientFailure, Failing{err})
		}
		return
	}
	name := choice.Builder.Name
	to := w.latest()
	switch {
	case to != nil && to.name == name:
	case w.pending != nil && w.current.name == name:
		// The resolver has changed its mind back.
		w.pending.close(now, fx)
		w.pending, to = nil, w.current
		to.mute = false
	default:
		if w.pending != nil {
			w.pending.close(now, fx)
			w.pending = nil
		}
		to = &candidate{child: newChild(choice.Builder.New(w.registry), w.of), name: name}
		if w.current == nil {
			w.current = to
			to.published = true // CONNECTING, in place of what came of a Failed before
		} else {
			w.pending = to
			w.current.mute = true // it has seen its last update
		}
	}
	to.step(&Update{Endpoints: ev.Endpoints, Config: choice.Config, Hosted: ev.Hosted}, now, fx)
}

func (w *Switch) choice(c Config) (Choice, error) {
	choice, _ := c.(Choice)
	if choice.Builder.New != nil {
		return choice, nil
	}
	b, ok := w.registry.Lookup(DefaultPolicy)
	if !ok || b.New == nil {
		return Choice{}, fmt.Errorf("%w: [%s]", ErrNoPolicy, DefaultPolicy)
	}
	return Choice{Builder: b}, nil
}

// settle ends a step: it replaces the current policy if it is time, and
// publishes what is in force.
func (w *Switch) settle(now time.Time, fx *Effects) {
	if p := w.pending; p != nil &&
		(w.current.state.Connectivity != connectivity.Ready || p.state.Connectivity != connectivity.Connecting) {
		w.current.close(now, fx)
		w.current, w.pending = p, nil
		p.published = true
	}
	w.each(func(c *candidate) {
		if c == w.current && c.published {
			fx.SetState(c.state.Connectivity, c.state.Picker)
		}
		c.published = false
		c.rearm(fx)
	})
}

// latest is the policy that updates are for, or nil.
func (w *Switch) latest() *candidate {
	if w.pending != nil {
		return w.pending
	}
	return w.current
}

func (w *Switch) each(do func(*candidate)) {
	if w.current != nil {
		do(w.current)
	}
	if w.pending != nil {
		do(w.pending)
	}
}
