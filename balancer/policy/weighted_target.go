package policy

import (
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/connectivity"
)

const (
	// retention is how long a child that is not needed stays connected, in case
	// it is needed again (gRFC A56, as in gRPC's C++ weighted_target).
	retention = 15 * time.Minute
	// maxRetained bounds the children that stay although the configuration does
	// not name them any more.
	maxRetained = 32
)

var errNoTargets = errors.New("weighted_target has no targets")

// weightedTarget spreads RPCs over children by weight (gRFC A28). Those that
// vanish from the configuration are kept for a while without a share.
type weightedTarget struct {
	registry Registry
	of       lineage
	active   []*target // by name
	retained []*target // by the time they are closed
	closed   bool
}

type target struct {
	*child
	name   string
	weight uint32
	// shown is the child's state, but TRANSIENT_FAILURE until an attempt to
	// connect has succeeded or is given up, so that RPCs fail fast meanwhile.
	shown State
	until time.Time // when it is closed, if retained
}

func newWeightedTarget(r Registry) *weightedTarget {
	return &weightedTarget{registry: r, of: lineage{}}
}

// Step implements Policy.
func (w *weightedTarget) Step(ev Event, now time.Time, fx *Effects) {
	if w.closed {
		return
	}
	publish := false
	switch ev := ev.(type) {
	case *Update:
		cfg, _ := ev.Config.(*WeightedTargetConfig)
		if cfg == nil {
			cfg = &WeightedTargetConfig{}
		}
		w.update(cfg, ev, now, fx)
		publish = true
	case *Failed:
		for _, t := range w.active {
			t.step(ev, now, fx)
		}
		if len(w.active) == 0 {
			fx.SetState(connectivity.TransientFailure, Failing{ev.Err})
		}
	case *Changed:
		w.of.deliver(ev.Subchannel, ev, now, fx)
	case *Loaded:
		w.of.deliver(ev.Subchannel, ev, now, fx)
	case *ExitIdle:
		for _, t := range w.active {
			t.step(ev, now, fx)
		}
	case *ResetBackoff, *Wanted:
		w.each(func(t *target) { t.step(ev, now, fx) })
	case *Tick:
		for len(w.retained) > 0 && !now.Before(w.retained[0].until) {
			w.drop(now, fx)
		}
		w.each(func(t *target) { t.tick(now, fx) })
	case *Close:
		w.each(func(t *target) { t.close(now, fx) })
		w.active, w.retained, w.closed = nil, nil, true
		return
	}
	w.settle(publish, fx)
}

func (w *weightedTarget) update(cfg *WeightedTargetConfig, ev *Update, now time.Time, fx *Effects) {
	known := make(map[string]*target, len(w.active)+len(w.retained))
	w.each(func(t *target) { known[t.name] = t })
	was := w.active
	w.active = make([]*target, 0, len(cfg.Targets))
	endpoints := split(ev.Endpoints)
	for _, name := range slices.Sorted(maps.Keys(cfg.Targets)) {
		t := known[name]
		if t == nil {
			t = &target{child: newChild(NewSwitch(w.registry), w.of), name: name}
			t.shown = t.state
		}
		t.weight, t.until, t.mute = max(cfg.Targets[name].Weight, 1), time.Time{}, false
		w.active = append(w.active, t)
		t.step(ev.narrowed(endpoints[name], cfg.Targets[name].Policy), now, fx)
	}
	w.retained = slices.DeleteFunc(w.retained, func(t *target) bool { return t.until.IsZero() })
	for _, t := range was {
		if _, ok := cfg.Targets[t.name]; !ok {
			t.until, t.mute = now.Add(retention), true
			w.retained = append(w.retained, t)
		}
	}
	for len(w.retained) > maxRetained {
		w.drop(now, fx)
	}
}

// drop closes the child that has been retained longest.
func (w *weightedTarget) drop(now time.Time, fx *Effects) {
	w.retained[0].close(now, fx)
	w.retained = slices.Delete(w.retained, 0, 1)
}

// settle ends a step: the picker, if a child that has a share changed its own,
// and the next Tick.
func (w *weightedTarget) settle(publish bool, fx *Effects) {
	w.each(func(t *target) {
		if t.published {
			t.published = false
			if t.shown.Connectivity != connectivity.TransientFailure || t.state.Connectivity != connectivity.Connecting {
				t.shown = t.state
				publish = publish || t.until.IsZero()
			}
		}
		t.rearm(fx)
	})
	if len(w.retained) > 0 {
		fx.WakeAt(w.retained[0].until)
	}
	if publish {
		s := w.aggregate()
		fx.SetState(s.Connectivity, s.Picker)
	}
}

// aggregate is READY if one child is, or else CONNECTING, IDLE or
// TRANSIENT_FAILURE in this order. RPCs go to the children in that state, by
// weight: READY ones serve them, IDLE ones are woken, and when all have failed
// the errors are theirs.
func (w *weightedTarget) aggregate() State {
	if len(w.active) == 0 {
		return State{connectivity.TransientFailure, Failing{errNoTargets}}
	}
	var has [connectivity.Shutdown + 1]bool
	for _, t := range w.active {
		has[t.shown.Connectivity] = true
	}
	switch {
	case has[connectivity.Ready]:
		return State{connectivity.Ready, w.picker(connectivity.Ready)}
	case has[connectivity.Connecting]:
		return State{connectivity.Connecting, Wait}
	case has[connectivity.Idle]:
		return State{connectivity.Idle, w.picker(connectivity.Idle)}
	default:
		return State{connectivity.TransientFailure, w.picker(connectivity.TransientFailure)}
	}
}

func (w *weightedTarget) picker(in connectivity.State) Picker {
	var pickers []Picker
	var weights []uint32
	for _, t := range w.active {
		if t.shown.Connectivity == in {
			pickers, weights = append(pickers, t.shown.Picker), append(weights, t.weight)
		}
	}
	if len(pickers) == 1 {
		return pickers[0]
	}
	return newWeightedPicker(pickers, weights)
}

func (w *weightedTarget) each(do func(*target)) {
	for _, t := range w.active {
		do(t)
	}
	for _, t := range w.retained {
		do(t)
	}
}
