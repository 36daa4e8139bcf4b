package policy

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
	"pgregory.net/rapid"
)

// offers draws updates with any of a few endpoints, some of which have several
// addresses, share them, or have none.
func offers(configs ...Config) func(*rapid.T) *Update {
	return func(rt *rapid.T) *Update {
		n := rapid.IntRange(0, 5).Draw(rt, "endpoints")
		var eps []resolver.Endpoint
		for range n {
			var e resolver.Endpoint
			for range rapid.SampledFrom([]int{1, 1, 1, 2, 3, 0}).Draw(rt, "addresses") {
				k := rapid.IntRange(1, 6).Draw(rt, "address")
				a := fmt.Sprintf("10.0.0.%d:1", k)
				if k > 4 {
					a = fmt.Sprintf("[fe80::%d]:1", k)
				}
				e.Addresses = append(e.Addresses, resolver.Address{Addr: a})
			}
			eps = append(eps, weight.Set(e, weight.EndpointInfo{Weight: rapid.Uint32Range(0, 3).Draw(rt, "weight")}))
		}
		u := &Update{Endpoints: eps, Hosted: resolver.State{Endpoints: eps}}
		if len(configs) > 0 {
			u.Config = rapid.SampledFrom(configs).Draw(rt, "config")
		}
		return u
	}
}

func TestRandomEvents(t *testing.T) {
	registry := NewPolicies(Default()...)
	ring := leafRules
	ring.readyNeverWaits = false // an RPC may belong to an endpoint that connects
	ring.failingFails = false    // the same
	subset := rules{}            // it may be in the middle of replacing its child
	tests := []struct {
		b     Builder
		rules rules
		offer func(*rapid.T) *Update
	}{
		{PickFirst(), leafRules, offers(nil, &PickFirstConfig{ShuffleAddressList: true})},
		{RoundRobin(), leafRules, offers()},
		{LeastRequest(), leafRules, offers(nil, &LeastRequestConfig{ChoiceCount: 3}, &LeastRequestConfig{ChoiceCount: 10})},
		{RingHash(), ring, offers(
			nil,
			&RingHashConfig{MinRingSize: 30, MaxRingSize: 50},
			&RingHashConfig{MinRingSize: 20, MaxRingSize: 64, RequestHashHeader: "k"},
		)},
		{RandomSubsetting(), subset, offers(
			nil,
			&RandomSubsettingConfig{SubsetSize: 2, Child: Choice{Builder: RoundRobin()}},
			&RandomSubsettingConfig{SubsetSize: 3, Child: Choice{Builder: RoundRobin()}},
			&RandomSubsettingConfig{SubsetSize: 1, Child: Choice{Builder: RingHash()}},
		)},
	}
	for _, tt := range tests {
		build := func() Policy { return tt.b.New(registry) }
		t.Run(tt.b.Name, func(t *testing.T) { walk(t, tt.rules, build, tt.offer) })
		t.Run(tt.b.Name+" with impossible subchannels", func(t *testing.T) {
			tt.rules.wild = true
			walk(t, tt.rules, build, tt.offer)
		})
	}
}

// TestForeignConfigIsDefault: a policy is given what its own builder has parsed.
// Should that go wrong, it has defaults rather than a panic.
func TestForeignConfigIsDefault(t *testing.T) {
	registry := NewPolicies(Default()...)
	for _, b := range Default() {
		t.Run(b.Name, func(t *testing.T) {
			r := newRig(t, b.New(registry))
			r.rules = rules{}
			r.Update("not a configuration", endpoints("a:1", "b:1")...)
			r.Close()
		})
	}
}
