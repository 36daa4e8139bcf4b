package policy

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"
)

// weightedRoundRobin gives RPCs to READY endpoints in turn, more often to those
// that report that they have more room (gRFC A58). It connects as round_robin
// does. Weights come from load reports (gRFC A51): those of RPCs are left by
// Done for the next look, as Done has no clock; a look at them follows every
// UpdatePeriod and exchanges the schedule of the picker in force.
type weightedRoundRobin struct {
	shard
	cfg     *WeightedRoundRobinConfig
	weights map[*part]*endpointWeight
	picker  *wrrPicker // READY; nil: another state
	look    time.Time  // when the schedule is made anew; zero: never
}

// endpointWeight is what an endpoint's reports say.
type endpointWeight struct {
	penalty atomic.Uint64 // WeightedRoundRobinConfig.ErrorPenalty, as bits
	fresh   atomic.Uint64 // a weight from an RPC since the last look, as bits; 0: none

	weight  float64
	since   time.Time // the first report after READY or expiration; zero: none
	updated time.Time // the last report; zero: none since READY
}

func newWeightedRoundRobin() *weightedRoundRobin {
	return &weightedRoundRobin{cfg: defaultWeightedRoundRobin(), weights: make(map[*part]*endpointWeight)}
}

// Step implements Policy.
func (w *weightedRoundRobin) Step(ev Event, now time.Time, fx *Effects) {
	if w.closed {
		return
	}
	created := len(fx.Create)
	switch ev := ev.(type) {
	case *Changed:
		if e := w.weightOf(ev.Subchannel); e != nil && ev.State == connectivity.Ready {
			e.forget()
		}
	case *Loaded:
		if e := w.weightOf(ev.Subchannel); e != nil && w.cfg.OutOfBand {
			e.record(e.from(ev.Report), now)
		}
	}
	changed := w.step(ev, now, fx)
	switch ev := ev.(type) {
	case *Update:
		w.configure(ev, created, fx)
		w.publish(true, now, fx)
	case *Close:
		w.weights, w.picker = nil, nil
		return
	default:
		w.report(fx.Create[created:], fx)
		if changed {
			w.publish(false, now, fx)
		}
	}
	if due(w.look, now) {
		w.reschedule(now)
	}
	if !w.look.IsZero() {
		fx.WakeAt(w.look)
	}
}

func (w *weightedRoundRobin) weightOf(s *Subchannel) *endpointWeight {
	c := w.of[s]
	if c == nil {
		return nil
	}
	return w.weights[w.byChild[c]]
}

// configure takes the configuration of an update and follows its endpoints.
func (w *weightedRoundRobin) configure(ev *Update, created int, fx *Effects) {
	was := w.cfg
	w.cfg = defaultWeightedRoundRobin()
	if c, ok := ev.Config.(*WeightedRoundRobinConfig); ok && c != nil {
		w.cfg = c
	}
	before := w.weights
	w.weights = make(map[*part]*endpointWeight, len(w.children))
	for _, p := range w.children {
		e := before[p]
		if e == nil {
			e = &endpointWeight{}
		}
		e.penalty.Store(math.Float64bits(w.cfg.ErrorPenalty))
		w.weights[p] = e
	}
	if w.cfg.reporting() == was.reporting() {
		w.report(fx.Create[created:], fx)
		return
	}
	// The shard has forgotten those it has just removed.
	all := slices.SortedFunc(maps.Keys(w.of), func(a, b *Subchannel) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range all {
		fx.Report = append(fx.Report, Report{Subchannel: s, Interval: w.cfg.reporting()})
	}
}

// reporting is the interval of out-of-band reports, or 0.
func (c *WeightedRoundRobinConfig) reporting() time.Duration {
	if !c.OutOfBand {
		return 0
	}
	return max(c.OutOfBandPeriod, minWeightPeriod)
}

// report asks for the reports of new subchannels.
func (w *weightedRoundRobin) report(of []Create, fx *Effects) {
	if !w.cfg.OutOfBand {
		return
	}
	for _, c := range of {
		if w.of[c.Subchannel] != nil {
			fx.Report = append(fx.Report, Report{Subchannel: c.Subchannel, Interval: w.cfg.reporting()})
		}
	}
}

// publish makes a picker. The one in force stays if it would serve the same, so
// that its turns go on.
func (w *weightedRoundRobin) publish(always bool, now time.Time, fx *Effects) {
	st, in := w.aggregate()
	if st != connectivity.Ready {
		w.picker, w.look = nil, time.Time{}
		w.rotate(st, in, fx)
		return
	}
	if !always && w.picker != nil && w.picker.serves(in) {
		return
	}
	p := &wrrPicker{turns: make([]wrrTurn, len(in)), perCall: !w.cfg.OutOfBand}
	for i, pt := range in {
		p.turns[i] = wrrTurn{pt.state.Picker, w.weights[pt]}
	}
	p.sequence.Store(fx.Host.Rand() >> 32) // begin anywhere
	w.picker = p
	w.reschedule(now)
	fx.SetState(connectivity.Ready, p)
}

// reschedule looks at the weights.
func (w *weightedRoundRobin) reschedule(now time.Time) {
	weights := make([]float64, len(w.picker.turns))
	for i := range w.picker.turns {
		weights[i] = w.picker.turns[i].weight.at(now, w.cfg)
	}
	w.picker.schedule.Store(newStride(weights))
	if w.look = (time.Time{}); len(weights) > 1 {
		w.look = now.Add(max(w.cfg.UpdatePeriod, minWeightPeriod))
	}
}

// forget starts anew when the endpoint is connected anew.
func (e *endpointWeight) forget() {
	e.fresh.Store(0)
	e.since, e.updated = time.Time{}, time.Time{}
}

// from is the weight that a report amounts to: queries per second for each part
// of the utilisation. 0: the report says nothing, or nonsense.
func (e *endpointWeight) from(l *Load) float64 {
	if l == nil {
		return 0
	}
	used := l.Application
	if !(used > 0) {
		used = l.CPU
	}
	if !(used > 0) || !(l.QPS > 0) {
		return 0
	}
	if l.EPS > 0 {
		used += l.EPS / l.QPS * math.Float64frombits(e.penalty.Load())
	}
	if weight := l.QPS / used; weight > 0 && !math.IsInf(weight, 0) {
		return weight
	}
	return 0
}

func (e *endpointWeight) record(weight float64, now time.Time) {
	if weight == 0 {
		return
	}
	e.weight, e.updated = weight, now
	if e.since.IsZero() {
		e.since = now
	}
}

// at is the weight to use now, or 0 if none is to be used.
func (e *endpointWeight) at(now time.Time, c *WeightedRoundRobinConfig) float64 {
	e.record(math.Float64frombits(e.fresh.Swap(0)), now)
	switch {
	case e.updated.IsZero():
		return 0
	case now.Sub(e.updated) >= c.Expiration:
		e.since = time.Time{}
		return 0
	case c.Blackout > 0 && now.Sub(e.since) < c.Blackout:
		return 0
	default:
		return e.weight
	}
}

// Done implements the picker's Done: it leaves the report for the next look.
func (e *endpointWeight) Done(_ *Subchannel, i DoneInfo) {
	if weight := e.from(i.Load); weight != 0 {
		e.fresh.Store(math.Float64bits(weight))
	}
}
