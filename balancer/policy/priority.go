package policy

import (
	"errors"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// failover is how long a priority may try to connect before the next one is
// tried beside it (gRFC A56).
const failover = 10 * time.Second

var errNoPriorities = errors.New("priority has no children")

// priority sends every RPC to the first of its children that works (gRFC A56).
// Children are built when all before them have failed. Those after the one in
// use stay connected for a while when it is READY or IDLE: one that is
// configured is kept for the retention period, one that is not is closed at
// once (gRFC A115).
type priority struct {
	registry Registry
	of       lineage
	cfg      *PriorityConfig
	names    []string // the configured children, the highest priority first
	last     *Update  // what children that are not built yet will get
	dealt    map[string][]resolver.Endpoint
	children map[string]*ranked // those built; only configured ones
	current  *ranked            // whose picker is published
	closed   bool
}

// ranked is a child that is built.
type ranked struct {
	*child
	name string
	// deadline is when it has to be READY, IDLE or TRANSIENT_FAILURE; zero: it
	// was, or it has failed and tries again. After the deadline it counts as
	// failed although it is CONNECTING.
	deadline time.Time
	failed   bool      // since it last was READY or IDLE
	until    time.Time // when it is closed, if it is not needed
}

func newPriority(r Registry) *priority {
	return &priority{registry: r, of: lineage{}, cfg: &PriorityConfig{}, children: make(map[string]*ranked)}
}

// Step implements Policy.
func (p *priority) Step(ev Event, now time.Time, fx *Effects) {
	if p.closed {
		return
	}
	switch ev := ev.(type) {
	case *Update:
		p.update(ev, now, fx)
	case *Failed:
		p.each(func(r *ranked) { r.step(ev, now, fx) })
		if len(p.children) == 0 {
			fx.SetState(connectivity.TransientFailure, Failing{ev.Err})
			return
		}
	case *Changed:
		p.of.deliver(ev.Subchannel, ev, now, fx)
	case *Loaded:
		p.of.deliver(ev.Subchannel, ev, now, fx)
	case *ExitIdle:
		if p.current != nil {
			p.current.step(ev, now, fx)
		}
	case *ResetBackoff, *Wanted:
		p.each(func(r *ranked) { r.step(ev, now, fx) })
	case *Tick:
		p.each(func(r *ranked) {
			switch {
			case due(r.until, now):
				p.drop(r, now, fx)
			case due(r.deadline, now):
				r.deadline, r.failed = time.Time{}, true
			}
			r.tick(now, fx)
		})
	case *Close:
		p.each(func(r *ranked) { r.close(now, fx) })
		p.children, p.current, p.closed = nil, nil, true
		return
	}
	p.choose(now, fx)
	p.rearm(fx)
}

func (p *priority) update(ev *Update, now time.Time, fx *Effects) {
	p.cfg, _ = ev.Config.(*PriorityConfig)
	if p.cfg == nil {
		p.cfg = &PriorityConfig{}
	}
	p.last, p.dealt = ev, split(ev.Endpoints)
	was := p.names
	p.names = nil
	stays := make(map[string]bool, len(p.cfg.Priorities))
	for _, name := range p.cfg.Priorities {
		if !stays[name] {
			stays[name] = true
			p.names = append(p.names, name)
		}
	}
	for _, name := range was {
		if r := p.children[name]; r == nil {
			continue
		} else if stays[name] {
			p.give(r, now, fx)
		} else {
			p.drop(r, now, fx)
		}
	}
	if len(p.names) == 0 {
		fx.SetState(connectivity.TransientFailure, Failing{errNoPriorities})
	}
}

// give passes the last update on to a child.
func (p *priority) give(r *ranked, now time.Time, fx *Effects) {
	cfg := p.cfg.Children[r.name]
	r.mute = cfg.IgnoreResolve || !r.until.IsZero()
	r.step(p.last.narrowed(p.dealt[r.name], cfg.Policy), now, fx)
}

func (p *priority) drop(r *ranked, now time.Time, fx *Effects) {
	r.close(now, fx)
	delete(p.children, r.name)
	if p.current == r {
		p.current = nil
	}
}

// note draws the consequences of what a child has published.
func (r *ranked) note(now time.Time) {
	switch r.state.Connectivity {
	case connectivity.Ready, connectivity.Idle:
		r.deadline, r.failed = time.Time{}, false
	case connectivity.Connecting:
		// A child that failed has had its time; one that was READY gets it anew.
		if !r.failed && r.deadline.IsZero() {
			r.deadline = now.Add(failover)
		}
	default:
		r.deadline, r.failed = time.Time{}, true
	}
}

// choose finds the child to use and publishes its picker if that changed:
// the first that is READY, IDLE or has time left to connect. Without one it is
// the first that is CONNECTING, or else the last.
func (p *priority) choose(now time.Time, fx *Effects) {
	p.each(func(r *ranked) {
		if r.published {
			r.note(now)
		}
	})
	var use *ranked
	for i, name := range p.names {
		r := p.wanted(name, now, fx)
		if s := r.state.Connectivity; s == connectivity.Ready || s == connectivity.Idle {
			p.retire(p.names[i+1:], now)
			use = r
		} else if !r.deadline.IsZero() {
			use = r
		}
		if use != nil {
			break
		}
	}
	for i := 0; use == nil && i < len(p.names); i++ {
		r := p.children[p.names[i]]
		if r.state.Connectivity == connectivity.Connecting || i == len(p.names)-1 {
			use = r
		}
	}
	if use != nil && (use != p.current || use.published) {
		fx.SetState(use.state.Connectivity, use.state.Picker)
	}
	p.current = use
	p.each(func(r *ranked) { r.published = false })
}

// wanted is the child of that name, built or taken back from retirement.
func (p *priority) wanted(name string, now time.Time, fx *Effects) *ranked {
	r := p.children[name]
	if r != nil {
		r.until, r.mute = time.Time{}, p.cfg.Children[name].IgnoreResolve
		return r
	}
	r = &ranked{child: newChild(NewSwitch(p.registry), p.of), name: name, deadline: now.Add(failover)}
	p.children[name] = r
	p.give(r, now, fx)
	r.note(now)
	return r
}

// retire keeps children that are not needed now for the retention period.
func (p *priority) retire(names []string, now time.Time) {
	for _, name := range names {
		if r := p.children[name]; r != nil && r.until.IsZero() {
			r.until, r.mute = now.Add(retention), true
		}
	}
}

func (p *priority) rearm(fx *Effects) {
	p.each(func(r *ranked) {
		for _, t := range [...]time.Time{r.deadline, r.until} {
			if !t.IsZero() {
				fx.WakeAt(t)
			}
		}
		r.rearm(fx)
	})
}

// each visits the children that are built, by priority. The visitor may drop
// the child.
func (p *priority) each(do func(*ranked)) {
	for _, name := range p.names {
		if r := p.children[name]; r != nil {
			do(r)
		}
	}
}

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }
