package policy

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"pgregory.net/rapid"
)

// walk drives a policy at random: updates (made by offer), failures, time, and
// everything that subchannels may say, in any order between them.
func walk(t *testing.T, rls rules, build func() Policy, offer func(*rapid.T) *Update) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, build())
		r.manual, r.rules = true, rls
		r.seed = rapid.Uint64Min(1).Draw(rt, "seed")
		if rapid.Bool().Draw(rt, "resolved") {
			r.Step(offer(rt))
		} else {
			r.Step(&Failed{Err: errDial})
		}
		n := rapid.SampledFrom([]int{3, 20, 150}).Draw(rt, "steps")
		for range n {
			r.stroll(rt, offer)
		}
		r.deliverAll()
		r.Close()
	})
}

func (r *rig) stroll(rt *rapid.T, offer func(*rapid.T) *Update) {
	var s *fakeSub
	if l := r.Living(); len(l) > 0 {
		s = rapid.SampledFrom(l).Draw(rt, "subchannel")
	}
	switch k := rapid.IntRange(0, 19).Draw(rt, "what"); {
	case k < 9 && s != nil:
		if !r.Deliver(s) {
			r.drift(rt, s)
		}
	case k < 13 && s != nil:
		r.drift(rt, s)
	case k == 13:
		r.Step(offer(rt))
	case k == 14:
		r.Step(&Failed{Err: errDial})
	case k == 15:
		r.Step(&ExitIdle{})
	case k == 16:
		r.Pick(context.Background())
	case k == 17:
		r.Step(&Tick{}) // one that somebody else in the tree asked for
	case k == 18 && len(r.subs) > 0: // late, or of nobody
		late := rapid.SampledFrom(r.subs).Draw(rt, "late")
		r.Step(&Loaded{Subchannel: late.Subchannel, Report: &Load{CPU: 0.5, QPS: 10}})
		if late.removed {
			r.Step(&Changed{Subchannel: late.Subchannel, State: rapid.SampledFrom([]connectivity.State{idle, connecting, ready, failing, shutdown}).Draw(rt, "late state")})
		}
		r.Step(&Changed{Subchannel: &Subchannel{}, State: ready})
		r.Step(&ResetBackoff{})
	default:
		r.Pass(time.Duration(rapid.IntRange(0, 400).Draw(rt, "ms")) * time.Millisecond)
	}
}

// drift lets a subchannel go on by itself, as real ones do.
func (r *rig) drift(rt *rapid.T, s *fakeSub) {
	var to []*Changed
	if s.now == shutdown {
		return
	}
	switch s.now {
	case connecting:
		to = []*Changed{{State: ready}, {State: ready}, {State: failing, Err: errDial}, {State: failing, Err: errDial}, {State: idle, Err: errDial}}
	case ready: // lost, or the health check says so
		to = []*Changed{{State: idle, Err: errDial}, {State: idle}, {State: failing, Err: errDial}, {State: connecting}}
	case failing: // the backoff is over, or attempts are stopped, or it is healthy again
		to = []*Changed{{State: idle}, {State: idle}, {State: idle, Err: errDial}, {State: ready}}
	default:
		if !r.rules.wild {
			return
		}
	}
	if r.rules.wild {
		for _, st := range []connectivity.State{idle, connecting, ready, failing, shutdown} {
			to = append(to, &Changed{State: st}, &Changed{State: st, Err: errDial})
		}
	}
	c := rapid.SampledFrom(to).Draw(rt, "drift")
	s.say(c.State, c.Err)
}

// endpoint is one endpoint with the addresses.
func endpoint(addrs ...string) (e resolver.Endpoint) {
	for _, a := range addrs {
		e.Addresses = append(e.Addresses, resolver.Address{Addr: a})
	}
	return e
}

// endpoints are endpoints of one address each.
func endpoints(addrs ...string) (list []resolver.Endpoint) {
	for _, a := range addrs {
		list = append(list, endpoint(a))
	}
	return list
}

// progress says whether something will happen without the policy's doing.
func (r *rig) progress() bool {
	if !r.wake.IsZero() {
		return true
	}
	for _, s := range r.Living() {
		if len(s.inbox) > 0 || s.now == connecting || s.now == failing || s.now == ready {
			return true
		}
	}
	return false
}
