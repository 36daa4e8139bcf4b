package policy

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// shard is the base of policies that spread RPCs over endpoints: it keeps one
// child for each endpoint, a pick_first, and says when the states of children
// have changed (gRFC A61). Which of them serves an RPC is its user's business.
type shard struct {
	// lazy leaves IDLE children alone until somebody asks them to connect.
	// Otherwise they connect at once.
	lazy bool

	of       lineage
	children []*part // in the resolver's order
	byKey    map[string]*part
	byChild  map[*child]*part
	err      error // why there are no children
	closed   bool
}

// part is one endpoint and its child.
type part struct {
	*child
	key      string
	endpoint resolver.Endpoint
	inflight inflight // for least_request, whose RPCs outlive pickers
}

// step takes an event. changed says that what is published has to be made anew.
func (s *shard) step(ev Event, now time.Time, fx *Effects) (changed bool) {
	if s.closed {
		return false
	}
	switch ev := ev.(type) {
	case *Update:
		s.update(ev, now, fx)
		changed = true
	case *Failed:
		if len(s.children) == 0 {
			s.err, changed = ev.Err, true
		}
	case *Changed:
		changed = s.deliver(ev.Subchannel, ev, now, fx)
	case *Loaded:
		changed = s.deliver(ev.Subchannel, ev, now, fx)
	case *Close:
		for _, p := range s.children {
			p.close(now, fx)
		}
		s.closed, s.children, s.byKey, s.byChild = true, nil, nil, nil
		return false
	case *Tick:
		for _, p := range s.children {
			p.tick(now, fx)
			changed = s.settle(p, now, fx) || changed
		}
	default:
		for _, p := range s.children {
			p.child.step(ev, now, fx)
			changed = s.settle(p, now, fx) || changed
		}
	}
	for _, p := range s.children {
		p.rearm(fx)
	}
	return changed
}

func (s *shard) deliver(sub *Subchannel, ev Event, now time.Time, fx *Effects) bool {
	c := s.of[sub]
	if c == nil {
		return false
	}
	c.step(ev, now, fx)
	return s.settle(s.byChild[c], now, fx)
}

// settle ends the step of a child and says whether it has published.
func (s *shard) settle(p *part, now time.Time, fx *Effects) bool {
	if !s.lazy && p.state.Connectivity == connectivity.Idle && !p.resting() {
		p.child.step(&ExitIdle{}, now, fx)
	}
	changed := p.published
	p.published = false
	return changed
}

// resting says whether the child is IDLE because supervision stopped its
// attempts.
func (p *part) resting() bool {
	pf, ok := p.policy.(*pickFirst)
	return ok && pf.resting()
}

// update gives every endpoint a child. One whose endpoint is as it was is left
// alone: an update does not begin its attempts anew.
func (s *shard) update(ev *Update, now time.Time, fx *Effects) {
	before, old := s.children, s.byKey
	s.byKey = make(map[string]*part, len(ev.Endpoints))
	s.children = make([]*part, 0, len(ev.Endpoints))
	if s.of == nil {
		s.of, s.byChild = lineage{}, map[*child]*part{}
	}
	for _, e := range ev.Endpoints {
		key := endpointKey(e)
		if _, twice := s.byKey[key]; twice || len(e.Addresses) == 0 {
			continue
		}
		p, ok := old[key]
		if !ok {
			p = &part{child: newChild(&pickFirst{lazy: s.lazy}, s.of), key: key}
			s.byChild[p.child] = p
		}
		s.byKey[key], s.children = p, append(s.children, p)
		same := ok && slices.EqualFunc(p.endpoint.Addresses, e.Addresses, sameAddress)
		if p.endpoint = e; !same {
			p.child.step(&Update{Endpoints: []resolver.Endpoint{e}}, now, fx)
			s.settle(p, now, fx)
		}
	}
	for _, p := range before {
		if s.byKey[p.key] != p {
			delete(s.byChild, p.child)
			p.close(now, fx)
		}
	}
	if s.err = nil; len(s.children) == 0 {
		s.err, fx.Resolve = ErrNoAddresses, true
	}
}

// aggregate is the best state that children are in, and the children in it.
func (s *shard) aggregate() (connectivity.State, []*part) {
	for _, st := range []connectivity.State{connectivity.Ready, connectivity.Connecting, connectivity.Idle} {
		if in := s.in(st); len(in) > 0 {
			return st, in
		}
	}
	return connectivity.TransientFailure, s.in(connectivity.TransientFailure)
}

func (s *shard) in(st connectivity.State) (list []*part) {
	for _, p := range s.children {
		if p.state.Connectivity == st {
			list = append(list, p)
		}
	}
	return list
}

// rotate publishes the aggregated state with a picker that takes turns between
// the children in it: they serve, or wait, or fail, each with its own error.
func (s *shard) rotate(st connectivity.State, in []*part, fx *Effects) {
	if len(in) == 0 {
		fx.SetState(connectivity.TransientFailure, Failing{s.err})
		return
	}
	fx.SetState(st, newRotation(in, fx.Host.Rand()))
}

// rotation takes turns.
type rotation struct {
	turns []Picker
	next  atomic.Uint64
}

// newRotation makes a rotation that begins anywhere, so that the clients of a
// backend do not all begin with the same one.
func newRotation(in []*part, start uint64) *rotation {
	r := &rotation{turns: make([]Picker, len(in))}
	for i, p := range in {
		r.turns[i] = p.state.Picker
	}
	r.next.Store(start % uint64(len(in)))
	return r
}

// Pick implements Picker.
func (r *rotation) Pick(pi *PickInfo) Pick {
	return r.turns[(r.next.Add(1)-1)%uint64(len(r.turns))].Pick(pi)
}

// endpointKey tells endpoints apart: by the set of their addresses (gRFC A61).
func endpointKey(e resolver.Endpoint) string {
	if len(e.Addresses) == 1 {
		return e.Addresses[0].Addr
	}
	list := make([]string, len(e.Addresses))
	for i, a := range e.Addresses {
		list[i] = strconv.Quote(a.Addr)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// sameAddress compares what matters to a connection.
func sameAddress(a, b resolver.Address) bool {
	return a.Addr == b.Addr && a.ServerName == b.ServerName && a.Attributes.Equal(b.Attributes)
}
