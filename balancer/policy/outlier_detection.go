package policy

import (
	"errors"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// ErrEjected is why the subchannels of an ejected endpoint are shown as
// TRANSIENT_FAILURE.
var ErrEjected = errors.New("ejected by outlier detection")

// minSweepInterval keeps a configured interval of nothing from making the
// balancer do nothing else.
const minSweepInterval = 10 * time.Millisecond

// outlierDetection counts how RPCs to each endpoint end and takes endpoints
// that do much worse than others out of use for a while (gRFC A50). It lies to
// its child: a READY subchannel of an ejected endpoint is in TRANSIENT_FAILURE,
// exactly as one that fails its health check. All else the child hears as it
// is, so that a connection that is lost meanwhile is made again.
//
// A subchannel without health checking (Create.NoHealth) hears no lies: an only
// pick_first does not give up its connection because of errors (gRFC A61).
type outlierDetection struct {
	child *child
	of    lineage
	cfg   *OutlierDetectionConfig

	endpoints []*outlier // in the resolver's order
	byAddress map[string]*outlier
	watched   []*watched // in the order of creation
	bySub     map[*Subchannel]*watched

	swept    time.Time // when the interval began; zero: nothing is counted
	counters *counterTable
	stale    bool // counters does not fit watched
	counting bool // the picker published last counts
	closed   bool
}

// outlier is an endpoint.
type outlier struct {
	key        string
	calls      *callCounter
	ejected    time.Time // zero: it is not
	multiplier uint32    // of the base ejection time
}

// watched is a subchannel of the child.
type watched struct {
	sub     *Subchannel
	address string   // "": it has several, and is ignored
	of      *outlier // nil: of none
	open    bool     // without health checking, thus never masked
	last    Changed  // what it said last
	masked  bool     // the child was told that it fails, and it is READY
}

func newOutlierDetection(r Registry) *outlierDetection {
	o := &outlierDetection{of: lineage{}, cfg: defaultOutlierDetection(), bySub: make(map[*Subchannel]*watched)}
	o.child = newChild(NewSwitch(r), o.of)
	return o
}

// Step implements Policy.
func (o *outlierDetection) Step(ev Event, now time.Time, fx *Effects) {
	if o.closed {
		return
	}
	switch ev := ev.(type) {
	case *Update:
		o.update(ev, now, fx)
	case *Changed:
		o.changed(ev, now, fx)
	case *Loaded:
		o.step(ev, now, fx)
	case *Failed, *ExitIdle, *ResetBackoff, *Wanted:
		o.step(ev, now, fx)
	case *Tick:
		before := o.mark(fx)
		o.child.tick(now, fx)
		o.follow(before, fx)
		if o.counts() && !o.swept.IsZero() && !now.Before(o.swept.Add(o.interval())) {
			o.sweep(now, fx)
			o.tell(now, fx)
		}
	case *Close:
		o.child.close(now, fx)
		o.watched, o.bySub, o.counters, o.closed = nil, nil, nil, true
		return
	}
	o.settle(fx)
}

func (o *outlierDetection) update(ev *Update, now time.Time, fx *Effects) {
	if cfg, ok := ev.Config.(*OutlierDetectionConfig); ok && cfg != nil {
		o.cfg = cfg
	}
	o.offer(ev.Endpoints)
	switch {
	case !o.counts():
		o.swept = time.Time{}
		for _, e := range o.endpoints {
			e.ejected, e.multiplier = time.Time{}, 0
		}
	case o.swept.IsZero():
		o.swept = now
		for _, e := range o.endpoints {
			e.calls.rotate()
			e.calls.rotate()
		}
	}
	o.step(ev.narrowed(ev.Endpoints, o.cfg.Policy), now, fx)
	o.tell(now, fx)
}

// offer replaces the endpoints. One with the same addresses in any order stays
// what it was; a subchannel belongs to the endpoint that has its address now.
func (o *outlierDetection) offer(eps []resolver.Endpoint) {
	was := make(map[string]*outlier, len(o.endpoints))
	for _, e := range o.endpoints {
		was[e.key] = e
	}
	o.endpoints, o.byAddress = nil, make(map[string]*outlier)
	seen := make(map[string]bool, len(eps))
	for _, ep := range eps {
		key := endpointKey(ep)
		if seen[key] {
			continue
		}
		seen[key] = true
		e := was[key]
		if e == nil {
			e = &outlier{key: key, calls: &callCounter{}}
		}
		o.endpoints = append(o.endpoints, e)
		for _, a := range ep.Addresses {
			if o.byAddress[a.Addr] == nil {
				o.byAddress[a.Addr] = e
			}
		}
	}
	for _, w := range o.watched {
		if of := o.byAddress[w.address]; of != w.of {
			w.of, o.stale = of, true
		}
	}
}

// changed passes on what a subchannel says, or the lie in its place.
func (o *outlierDetection) changed(ev *Changed, now time.Time, fx *Effects) {
	w := o.bySub[ev.Subchannel]
	if w == nil {
		return
	}
	if ev.State == connectivity.Shutdown {
		o.unwatch([]*Subchannel{w.sub})
	}
	was := w.masked
	w.last, w.masked = *ev, ev.State == connectivity.Ready && w.lied()
	switch {
	case w.masked:
		o.step(&Changed{Subchannel: w.sub, State: connectivity.TransientFailure, Err: ErrEjected}, now, fx)
	case was && ev.State == connectivity.Idle:
		// To the child this is the end of a backoff, not that of a connection.
		o.step(&Changed{Subchannel: w.sub, State: connectivity.Idle}, now, fx)
	default:
		o.step(ev, now, fx)
	}
}

// lied says whether the child may not see that w is READY.
func (w *watched) lied() bool { return !w.open && w.of != nil && !w.of.ejected.IsZero() }

// tell lets the child know of what was ejected or is back.
func (o *outlierDetection) tell(now time.Time, fx *Effects) {
	for _, w := range append([]*watched(nil), o.watched...) {
		if o.bySub[w.sub] != w || w.last.State != connectivity.Ready || w.masked == w.lied() {
			continue // the child has just removed it, or knows
		}
		said := w.last
		o.changed(&said, now, fx)
	}
}

// step steps the child.
func (o *outlierDetection) step(ev Event, now time.Time, fx *Effects) {
	before := o.mark(fx)
	o.child.step(ev, now, fx)
	o.follow(before, fx)
}

// mark says where in fx the child's next step begins.
func (o *outlierDetection) mark(fx *Effects) [2]int { return [2]int{len(fx.Create), len(fx.Remove)} }

// follow takes notice of subchannels that the child created and removed.
func (o *outlierDetection) follow(from [2]int, fx *Effects) {
	for _, c := range fx.Create[from[0]:] {
		w := &watched{sub: c.Subchannel, open: c.NoHealth, last: Changed{Subchannel: c.Subchannel, State: connectivity.Idle}}
		if len(c.Addresses) == 1 {
			w.address = c.Addresses[0].Addr
			w.of = o.byAddress[w.address]
		}
		o.watched, o.bySub[w.sub], o.stale = append(o.watched, w), w, true
	}
	if removed := fx.Remove[from[1]:]; len(removed) > 0 {
		o.unwatch(removed)
	}
}

func (o *outlierDetection) unwatch(gone []*Subchannel) {
	for _, s := range gone {
		delete(o.bySub, s)
	}
	left := o.watched[:0]
	for _, w := range o.watched {
		if o.bySub[w.sub] == w {
			left = append(left, w)
		}
	}
	clear(o.watched[len(left):])
	o.watched, o.stale = left, true
}

// settle ends a step: the picker, if the child's or the counting changed, and
// the next Tick.
func (o *outlierDetection) settle(fx *Effects) {
	counts := o.counts()
	if o.child.published || counts != o.counting || counts && o.stale {
		o.child.published = false
		o.publish(counts, fx)
	}
	o.child.rearm(fx)
	if counts && !o.swept.IsZero() {
		fx.WakeAt(o.swept.Add(o.interval()))
	}
}

func (o *outlierDetection) publish(counts bool, fx *Effects) {
	o.counting = counts
	s := o.child.state
	if !counts {
		fx.SetState(s.Connectivity, s.Picker)
		return
	}
	if o.stale || o.counters == nil {
		o.stale, o.counters = false, newCounterTable(o.watched)
	}
	fx.SetState(s.Connectivity, &countingPicker{child: s.Picker, counters: o.counters})
}

func (o *outlierDetection) counts() bool {
	return o.cfg.SuccessRate != nil || o.cfg.FailurePercentage != nil
}

func (o *outlierDetection) interval() time.Duration { return max(o.cfg.Interval, minSweepInterval) }
