package policy

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// child is a policy inside a container. The container steps it as the balancer
// steps the container: what it asks for passes through, except for its picker
// and its clock. Those are kept here, because only the container knows which
// child's picker counts and when its own next Tick comes.
type child struct {
	policy Policy
	of     lineage
	fx     Effects // the child's own, empty between steps

	state     State     // as last published; CONNECTING before that
	published bool      // since the container last cleared it
	wake      time.Time // when the child wants its Tick; zero: it does not
	mute      bool      // its requests to resolve again are dropped
	living    int       // subchannels it created and did not remove
	closed    bool
}

// lineage says which child of a container made a subchannel. Those that are
// removed or SHUTDOWN are not in it: nobody hears of them again.
type lineage map[*Subchannel]*child

func newChild(p Policy, of lineage) *child {
	return &child{policy: p, of: of, state: State{connectivity.Connecting, Wait}}
}

// step gives the child an event and passes on what it asks for.
func (c *child) step(ev Event, now time.Time, fx *Effects) {
	if c.closed {
		return
	}
	if ch, ok := ev.(*Changed); ok && ch.State == connectivity.Shutdown && c.of[ch.Subchannel] == c {
		delete(c.of, ch.Subchannel) // it is gone by itself: there is nothing to remove
		c.living--
	}
	c.fx.Host = fx.Host
	c.policy.Step(ev, now, &c.fx)
	c.pass(fx)
}

// pass moves the effects of the child's step to fx. What concerns a subchannel
// that is not the child's, or not any more, is dropped.
func (c *child) pass(fx *Effects) {
	for _, n := range c.fx.Create {
		c.of[n.Subchannel] = c
		c.living++
		fx.Create = append(fx.Create, n)
	}
	for _, s := range c.fx.Connect {
		if c.of[s] == c {
			fx.Connect = append(fx.Connect, s)
		}
	}
	for _, s := range c.fx.Remove {
		if c.of[s] == c {
			c.forget(s, fx)
		}
	}
	for _, r := range c.fx.Report {
		if c.of[r.Subchannel] == c {
			fx.Report = append(fx.Report, r)
		}
	}
	if c.fx.Resolve && !c.mute {
		fx.Resolve = true
	}
	// A step without a wish does not take back an earlier one: at worst there
	// is a Tick too many, and that means nothing to a policy.
	if w := c.fx.Wake; !w.IsZero() && (c.wake.IsZero() || w.Before(c.wake)) {
		c.wake = w
	}
	if p := c.fx.Publish; p != nil {
		c.state, c.published = *p, true
		if p.Picker == nil {
			c.state.Picker = Wait
		}
		if p.Connectivity == connectivity.Shutdown { // says nothing of a policy
			c.state.Connectivity = connectivity.TransientFailure
		}
	}
	c.fx.Reset()
}

func (c *child) forget(s *Subchannel, fx *Effects) {
	delete(c.of, s)
	c.living--
	fx.Remove = append(fx.Remove, s)
}

// tick steps the child if its time has come, and not before: the container may
// be ticked for somebody else.
func (c *child) tick(now time.Time, fx *Effects) {
	if c.wake.IsZero() || now.Before(c.wake) {
		return
	}
	c.wake = time.Time{}
	c.step(&Tick{}, now, fx)
}

// rearm asks again for the Tick the child waits for. Containers do it at the
// end of every step.
func (c *child) rearm(fx *Effects) {
	if !c.wake.IsZero() {
		fx.WakeAt(c.wake)
	}
}

// close ends the child. Subchannels that it leaves behind are removed for it.
func (c *child) close(now time.Time, fx *Effects) {
	if c.closed {
		return
	}
	c.mute = true
	c.step(&Close{}, now, fx)
	c.closed, c.wake, c.published = true, time.Time{}, false
	if c.living == 0 {
		return
	}
	var left []*Subchannel
	for s, owner := range c.of {
		if owner == c {
			left = append(left, s)
		}
	}
	slices.SortFunc(left, func(a, b *Subchannel) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range left {
		c.forget(s, fx)
	}
}

// deliver steps the child that made s.
func (l lineage) deliver(s *Subchannel, ev Event, now time.Time, fx *Effects) {
	if c := l[s]; c != nil {
		c.step(ev, now, fx)
	}
}

// narrowed is the update for a child that is to see some of the endpoints.
func (u *Update) narrowed(eps []resolver.Endpoint, c Choice) *Update {
	n := &Update{Endpoints: eps, Config: c, Hosted: u.Hosted}
	n.Hosted.Endpoints = eps
	n.Hosted.Addresses = nil
	for _, ep := range eps {
		n.Hosted.Addresses = append(n.Hosted.Addresses, ep.Addresses...)
	}
	return n
}
