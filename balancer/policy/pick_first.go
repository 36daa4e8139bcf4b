package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// attemptDelay is the time between the starts of two connection attempts while
// neither has an outcome: RFC 8305 section 5's Connection Attempt Delay.
const attemptDelay = 250 * time.Millisecond

var (
	errShutDown = errors.New("subchannel was shut down")
	errAttempt  = errors.New("no connection")
)

// PickFirstName is the policy's name in loadBalancingConfig.
const PickFirstName = "pick_first"

// PickFirstConfig is the configuration of pick_first. In JSON:
//
//	{"shuffleAddressList": false}
type PickFirstConfig struct {
	// ShuffleAddressList puts endpoints in a random order, in which those of
	// greater weight are more often in front (gRFC A62, A113).
	ShuffleAddressList bool
}

// PickFirst is the builder of pick_first (gRFC A61, A62). It fails RPCs with an
// *AttemptsError.
func PickFirst() Builder {
	return Builder{
		Name:  PickFirstName,
		Parse: parsePickFirst,
		New:   func(Registry) Policy { return &pickFirst{noHealth: true} },
	}
}

func parsePickFirst(js json.RawMessage, _ Registry) (Config, error) {
	c := &PickFirstConfig{}
	f := parseFields(js)
	f.boolean("shuffleAddressList", &c.ShuffleAddressList)
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}

// pickFirst connects to the first address that can be reached, and uses it
// until it is lost (gRFC A61, A62).
//
// A pass over the list begins attempts in order, the next when the one before
// has failed or has been at it for 250 ms; attempts that run go on:
//
//	                    READY
//	pass over the list ───────> READY, and the others are removed
//	 ^    │ all have failed       │ lost
//	 │    v                       v
//	 │  TRANSIENT_FAILURE ─────> IDLE
//	 │   each tries again   all   │
//	 │   after its backoff  stop  │ ExitIdle
//	 └────────────────────────────┘
//
// TRANSIENT_FAILURE is sticky: it ends with READY, or when nothing is attempted
// any more because supervision has stopped every subchannel.
type pickFirst struct {
	lazy     bool // the first update does not connect
	noHealth bool

	list   []*address
	bySub  map[*Subchannel]*address
	chosen *address // READY, or was and is unhealthy
	state  State
	idle   *Wanted // while IDLE

	passing  bool
	at       int       // list[at] was begun last; len(list): all were
	failed   int       // how many have failed in this pass
	next     time.Time // when the next is begun at the latest; zero: not by time
	failures int       // after the pass: since the picker's error was made
}

// address is one address and its subchannel.
type address struct {
	resolver.Address
	sub     *Subchannel // nil: not created
	state   connectivity.State
	err     error // of the last attempt
	failed  bool  // in this pass
	stopped bool  // its attempts were stopped; it waits for ExitIdle
}

// Step implements Policy.
func (p *pickFirst) Step(ev Event, now time.Time, fx *Effects) {
	switch ev := ev.(type) {
	case *Update:
		p.update(ev, now, fx)
	case *Failed:
		if len(p.list) == 0 {
			p.become(connectivity.TransientFailure, Failing{ev.Err}, fx)
		}
	case *Changed:
		if a := p.bySub[ev.Subchannel]; a != nil {
			p.changed(a, ev, now, fx)
		}
	case *ExitIdle:
		p.exitIdle(now, fx)
	case *Wanted:
		if ev == p.idle {
			p.exitIdle(now, fx)
		}
	case *Tick:
		p.tick(now, fx)
	case *Close:
		p.offer(nil, fx)
		p.passing, p.next, p.idle = false, time.Time{}, nil
	case *ResetBackoff, *Loaded:
		// A subchannel whose backoff is cut short says so by becoming IDLE.
	}
}

// become publishes a state. One that does not change is published again only
// for its errors.
func (p *pickFirst) become(st connectivity.State, pk Picker, fx *Effects) {
	if p.state.Picker != nil && p.state.Connectivity == st && st != connectivity.TransientFailure {
		return
	}
	if p.idle = nil; st == connectivity.Idle {
		p.idle = new(Wanted)
		pk = wanting{p.idle}
	}
	p.state = State{st, pk}
	fx.Publish = &State{st, pk}
}

// update takes a new list. The address in use is kept if it is in it.
func (p *pickFirst) update(ev *Update, now time.Time, fx *Effects) {
	cfg, _ := ev.Config.(*PickFirstConfig)
	eps := ev.Endpoints
	if cfg != nil && cfg.ShuffleAddressList {
		eps = shuffled(eps, fx.Host.Rand)
	}
	first := len(p.list) == 0
	p.offer(interleaved(flat(eps)), fx)
	switch {
	case len(p.list) == 0:
		p.passing, p.next = false, time.Time{}
		p.become(connectivity.TransientFailure, Failing{ErrNoAddresses}, fx)
		fx.Resolve = true
	case p.chosen != nil:
	case first && p.lazy:
		p.become(connectivity.Idle, nil, fx)
	case first, p.state.Connectivity == connectivity.Ready:
		// A failure for want of addresses is over now; A62 keeps only that of
		// connections.
		p.become(connectivity.Connecting, Wait, fx)
		p.pass(now, fx)
	case p.state.Connectivity != connectivity.Idle:
		p.pass(now, fx)
	}
}

// offer replaces the list. Addresses that stay keep their subchannels; those of
// the others are removed.
func (p *pickFirst) offer(list []resolver.Address, fx *Effects) {
	old := resolver.NewAddressMapV2[*address]()
	for _, a := range p.list {
		old.Set(a.Address, a)
	}
	before := p.list
	p.list = make([]*address, 0, len(list))
	stay := make(map[*address]bool, len(p.bySub))
	for _, addr := range list {
		a, ok := old.Get(addr)
		if !ok {
			a = &address{Address: addr}
		}
		stay[a] = true
		p.list = append(p.list, a)
	}
	for _, a := range before {
		if !stay[a] {
			p.remove(a, fx)
		}
	}
}

func (p *pickFirst) remove(a *address, fx *Effects) {
	if a == p.chosen {
		p.chosen = nil
	}
	if a.sub == nil {
		return
	}
	delete(p.bySub, a.sub)
	fx.Remove = append(fx.Remove, a.sub)
	a.sub, a.state, a.err, a.stopped = nil, connectivity.Idle, nil, false
}

// only removes every subchannel but that of a.
func (p *pickFirst) only(a *address, fx *Effects) {
	p.passing, p.next = false, time.Time{}
	if len(p.bySub) == 1 && p.bySub[a.sub] == a {
		return
	}
	for _, o := range p.list {
		if o != a {
			p.remove(o, fx)
		}
	}
}

func (p *pickFirst) exitIdle(now time.Time, fx *Effects) {
	if p.state.Connectivity != connectivity.Idle || len(p.list) == 0 {
		return
	}
	p.become(connectivity.Connecting, Wait, fx)
	p.pass(now, fx)
}

// changed takes what the subchannel of a says.
func (p *pickFirst) changed(a *address, ev *Changed, now time.Time, fx *Effects) {
	old := a.state
	a.state = ev.State
	switch {
	case ev.Err != nil:
		a.err = ev.Err
	case ev.State == connectivity.TransientFailure:
		a.err = errAttempt
	}
	if ev.State == connectivity.Shutdown {
		// Not by our doing. Another is created by the next pass.
		delete(p.bySub, a.sub)
		a.sub, a.state, a.err = nil, connectivity.Idle, cmp.Or(ev.Err, errShutDown)
	}
	switch {
	case ev.State == connectivity.Ready:
		p.chosen, a.stopped, a.err = a, false, nil
		p.only(a, fx)
		p.become(connectivity.Ready, serving{a.sub}, fx)
	case a == p.chosen:
		p.lost(ev, fx)
	case ev.State == connectivity.TransientFailure:
		p.attemptFailed(a, now, fx)
	case ev.State == connectivity.Connecting:
		a.stopped = false
	case old == connectivity.TransientFailure && ev.State == connectivity.Idle && ev.Err == nil:
		if !p.passing && p.state.Connectivity == connectivity.TransientFailure {
			fx.Connect = append(fx.Connect, a.sub) // its backoff is over
		}
	case old != connectivity.Idle || ev.State == connectivity.Shutdown:
		p.attemptsStopped(a, now, fx)
	}
}

// lost takes what follows READY. Only a lost connection ends the choice; what
// else a subchannel says then, its health check says (gRFC A17).
func (p *pickFirst) lost(ev *Changed, fx *Effects) {
	switch ev.State {
	case connectivity.TransientFailure:
		p.become(connectivity.TransientFailure, Failing{p.attemptsError()}, fx)
	case connectivity.Connecting:
		p.become(connectivity.Connecting, Wait, fx)
	default:
		p.chosen = nil
		p.become(connectivity.Idle, nil, fx)
		fx.Resolve = true
	}
}

// resting says whether p is IDLE because its attempts were stopped: a parent
// that connects IDLE children leaves it alone until it is asked to itself.
func (p *pickFirst) resting() bool {
	if p.state.Connectivity != connectivity.Idle {
		return false
	}
	for _, a := range p.list {
		if a.stopped {
			return true
		}
	}
	return false
}

// serving is the picker of READY.
type serving struct{ sub *Subchannel }

func (s serving) Pick(*PickInfo) Pick { return Pick{Subchannel: s.sub} }

// wanting is the picker of IDLE: an RPC waits, and the policy is to connect.
type wanting struct{ w *Wanted }

func (w wanting) Pick(*PickInfo) Pick { return Pick{Wanted: w.w} }
