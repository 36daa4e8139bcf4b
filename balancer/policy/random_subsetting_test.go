package policy

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/resolver"
)

func newSubsettingRig(t *testing.T) *rig {
	r := newRig(t, RandomSubsetting().New(NewPolicies(Default()...)))
	r.rules = rules{}
	return r
}

func many(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("10.0.%d.%d:1", i/250, i%250))
	}
	return names
}

func roundRobinOf(n uint32) *RandomSubsettingConfig {
	return &RandomSubsettingConfig{SubsetSize: n, Child: Choice{Builder: RoundRobin()}}
}

func TestChildSeesAPartOfTheEndpoints(t *testing.T) {
	r := newSubsettingRig(t)
	r.Update(roundRobinOf(5), endpoints(many(100)...)...)
	in := r.In(connecting)
	diff(t, "attempts", len(in), 5)
	r.Ready(in...)
	r.WantState(ready)
	diff(t, "endpoints used", len(r.Spread(50)), 5)

	t.Log("it stays as it is when others come")
	before := r.Living()
	r.Update(roundRobinOf(5), endpoints(append([]string{"192.168.0.1:1"}, many(100)...)...)...)
	kept := 0
	for _, s := range r.Living() {
		if slices.Contains(before, s) {
			kept++
		}
	}
	if kept < 4 {
		t.Errorf("%d of 5 endpoints kept when one came", kept)
	}

	t.Log("and only that is replaced which leaves")
	before = r.Living()
	gone := before[0].addrs[0].Addr
	left := slices.DeleteFunc(many(100), func(a string) bool { return a == gone })
	r.Update(roundRobinOf(5), endpoints(left...)...)
	diff(t, "subchannels", len(r.Living()), 5)
	for _, s := range before[1:] {
		if s.removed && s.addrs[0].Addr != "192.168.0.1:1" {
			t.Errorf("%s was given up", s.addrs[0].Addr)
		}
	}
	r.Close()
	diff(t, "state is the child's", r.closed, true)
}

func TestChildHasTheClock(t *testing.T) {
	r := newSubsettingRig(t)
	r.Update(&RandomSubsettingConfig{SubsetSize: 5, Child: Choice{Builder: PickFirst()}}, endpoints("a:1", "b:1")...)
	r.Pass(attemptDelay)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "b:1"})
}

func TestFewEndpointsAreAllUsed(t *testing.T) {
	r := newSubsettingRig(t)
	r.Update(roundRobinOf(5), append(endpoints("a:1", "b:1"), resolver.Endpoint{})...)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "b:1"})
	r.Set("a:1", failing, errDial)
	r.Set("b:1", failing, errDial)
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(roundRobinOf(5))
	r.WantErr(ErrNoAddresses)
}

func TestClientsHaveDifferentParts(t *testing.T) {
	eps := endpoints(many(50)...)
	load := map[string]int{}
	const clients, size = 1000, 5
	seeds := &rig{seed: 3}
	for range clients {
		for _, e := range subset(eps, size, seeds.Rand()) {
			load[e.Addresses[0].Addr]++
		}
	}
	for _, a := range many(50) { // 100 each on average
		if load[a] < 60 || load[a] > 140 {
			t.Errorf("%s has %d clients", a, load[a])
		}
	}
}

func TestSubsetDoesNotDependOnOrder(t *testing.T) {
	eps := endpoints(many(50)...)
	a := subset(eps, 7, 42)
	slices.Reverse(eps)
	b := subset(eps, 7, 42)
	diff(t, "subset", texts(flat(b)), texts(flat(a)))
}

func TestChildOfAnotherNameTakesOver(t *testing.T) {
	r := newSubsettingRig(t)
	r.Update(roundRobinOf(2), endpoints("a:1", "b:1")...)
	r.Ready("a:1", "b:1")
	r.Update(&RandomSubsettingConfig{SubsetSize: 2, Child: Choice{Builder: PickFirst()}}, endpoints("a:1", "b:1")...)
	r.WantState(ready)
	for _, s := range r.Living() {
		if s.now == connecting {
			s.say(ready, nil)
			r.Deliver(s)
		}
	}
	r.WantState(ready)
	diff(t, "endpoints used", len(r.Spread(10)), 1)
	diff(t, "subchannels", len(r.Living()), 1)
}
