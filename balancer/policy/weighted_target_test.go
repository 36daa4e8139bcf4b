package policy

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/resolver"
	"pgregory.net/rapid"
)

// containerRules hold for containers: they keep children that serve nobody.
var containerRules = rules{readyNeverWaits: true, failingFails: true}

// at are endpoints of one address each for the child of that path.
func at(path string, addrs ...string) (eps []resolver.Endpoint) {
	for _, ep := range endpoints(addrs...) {
		eps = append(eps, WithPath(ep, path))
	}
	return eps
}

func join(lists ...[]resolver.Endpoint) (eps []resolver.Endpoint) {
	for _, l := range lists {
		eps = append(eps, l...)
	}
	return eps
}

func newWeightedTargetRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, WeightedTarget().New(testRegistry()))
	r.rules = containerRules
	return r
}

// targets has a pick_first child for each name.
func targets(weights map[string]uint32) *WeightedTargetConfig {
	c := &WeightedTargetConfig{Targets: map[string]Target{}}
	for name, w := range weights {
		c.Targets[name] = Target{Weight: w, Policy: Choice{Builder: PickFirst()}}
	}
	return c
}

// wantShares fails the test if a share is not within 3 % of all n picks.
func wantShares(t *testing.T, got map[string]int, n int, want map[string]float64) {
	t.Helper()
	sum := 0.0
	for _, w := range want {
		sum += w
	}
	for a, w := range want {
		if share := float64(n) * w / sum; math.Abs(float64(got[a])-share) > 0.03*float64(n) {
			t.Errorf("%s: %d of %d picks, want about %.0f", a, got[a], n, share)
		}
	}
	for a := range got {
		if _, ok := want[a]; !ok {
			t.Errorf("%s: %d picks, want none", a, got[a])
		}
	}
}

func TestWeightedTargetShares(t *testing.T) {
	r := newWeightedTargetRig(t)
	r.Update(targets(map[string]uint32{"x": 1, "y": 3, "z": 6}), join(at("x", "a"), at("y", "b"), at("z", "c"))...)
	r.WantState(connecting)
	r.Ready("a", "b", "c")
	wantShares(t, r.Spread(10_000), 10_000, map[string]float64{"a": 1, "b": 3, "c": 6})

	r.Update(targets(map[string]uint32{"x": 1, "y": 1, "z": 2}), join(at("x", "a"), at("y", "b"), at("z", "c"))...)
	wantShares(t, r.Spread(10_000), 10_000, map[string]float64{"a": 1, "b": 1, "c": 2})

	r.Set("c", idle, errDial)
	wantShares(t, r.Spread(10_000), 10_000, map[string]float64{"a": 1, "b": 1})
	r.Close()
}

func TestWeightedTargetPathIsTakenOff(t *testing.T) {
	inner := targets(map[string]uint32{"p": 1, "q": 1})
	r := newWeightedTargetRig(t)
	r.Update(&WeightedTargetConfig{Targets: map[string]Target{"x": {1, choose(t, WeightedTargetName, inner)}}},
		WithPath(endpoint("a"), "x", "p"), WithPath(endpoint("b"), "x", "q"), WithPath(endpoint("c"), "y", "p"),
		WithPath(endpoint("d"), "x"), endpoint("e"))
	r.Ready("a", "b")
	if n := len(r.Living()); n != 2 {
		t.Errorf("%d subchannels, want 2", n)
	}
	wantShares(t, r.Spread(1000), 1000, map[string]float64{"a": 1, "b": 1})
	r.Close()
}

func TestWeightedTargetState(t *testing.T) {
	r := newWeightedTargetRig(t)
	r.Update(targets(map[string]uint32{"x": 1, "y": 1}), join(at("x", "a"), at("y", "b"))...)
	r.WantState(connecting)
	r.Set("a", failing, errDial)
	r.WantState(connecting) // y may still succeed
	r.Set("b", failing, errDial)
	r.WantState(failing)
	r.WantErr(errDial)
	r.Set("a", idle, nil) // its backoff is over, it connects again
	r.WantState(failing)
	r.WantErr(errDial)
	r.Ready("a")
	r.WantState(ready)
	r.Set("a", idle, nil)
	r.WantState(idle)
	r.Pick(t.Context()) // wakes x
	if s := r.At("a"); s == nil || s.now != connecting {
		t.Errorf("a is %+v after a pick", s)
	}
	r.WantState(connecting)
	r.Close()
}

func TestWeightedTargetWithoutTargetsFails(t *testing.T) {
	r := newWeightedTargetRig(t)
	r.Update(nil, endpoints("a")...)
	r.WantState(failing)
	r.WantErr(errNoTargets)
	r.Step(&Failed{Err: errDial})
	r.WantErr(errDial)
	r.Close()
}

func TestWeightedTargetRetention(t *testing.T) {
	both := targets(map[string]uint32{"x": 1, "y": 1})
	eps := join(at("x", "a"), at("y", "b"))
	r := newWeightedTargetRig(t)
	r.Update(both, eps...)
	r.Ready("a", "b")
	b := r.At("b")

	r.Update(targets(map[string]uint32{"x": 1}), at("x", "a")...)
	wantShares(t, r.Spread(100), 100, map[string]float64{"a": 1})
	r.Pass(retention - time.Second)
	if b.removed {
		t.Fatal("closed early")
	}
	r.Update(both, eps...) // back: connected as it was
	wantShares(t, r.Spread(2000), 2000, map[string]float64{"a": 1, "b": 1})
	if b.removed || b.connects != 1 {
		t.Errorf("b %+v", b)
	}
	r.Pass(time.Hour)
	if b.removed {
		t.Fatal("closed although it is back")
	}

	r.Update(targets(map[string]uint32{"x": 1}), at("x", "a")...)
	r.Pass(retention - time.Second)
	r.Update(targets(map[string]uint32{"x": 2}), at("x", "a")...) // does not prolong it
	r.Pass(time.Second)
	if !b.removed {
		t.Error("not closed after the retention period")
	}
	r.Close()
}

func TestWeightedTargetRetainsNotWithoutBound(t *testing.T) {
	r := newWeightedTargetRig(t)
	for i := range 3 * maxRetained {
		name := fmt.Sprint("t", i)
		r.Update(targets(map[string]uint32{name: 1}), at(name, name)...)
		r.Ready(name)
	}
	if n := len(r.Living()); n != maxRetained+1 {
		t.Errorf("%d subchannels, want %d", n, maxRetained+1)
	}
	r.Close()
}

func TestWeightedTargetSwitchesChildGracefully(t *testing.T) {
	c := targets(map[string]uint32{"x": 1})
	r := newWeightedTargetRig(t)
	r.Update(c, at("x", "a")...)
	r.Ready("a")
	r.Update(&WeightedTargetConfig{Targets: map[string]Target{"x": {1, choose(t, RoundRobinName, nil)}}}, at("x", "b")...)
	r.WantState(ready)
	if got := r.Picked(); got != "a" {
		t.Errorf("picked %q", got)
	}
	r.Ready("b")
	if got := r.Picked(); got != "b" || r.At("a") != nil {
		t.Errorf("picked %q, a %v", got, r.At("a"))
	}
	r.Close()
}

func TestWeightedTargetConfigByHandIsSafe(t *testing.T) {
	// Parse refuses both, but a configuration can be made without it.
	r := newWeightedTargetRig(t)
	r.Update(targets(map[string]uint32{"x": 0, "y": math.MaxUint32, "z": math.MaxUint32}), join(at("x", "a"), at("y", "b"), at("z", "c"))...)
	r.Ready("a", "b", "c")
	wantShares(t, r.Spread(1000), 1000, map[string]float64{"a": 0, "b": 1, "c": 1})
	r.Close()
}

func TestPathIsComparedByValue(t *testing.T) {
	a, b, c := WithPath(endpoint("a"), "x", "y"), WithPath(endpoint("a"), "x", "y"), WithPath(endpoint("a"), "x")
	if !a.Attributes.Equal(b.Attributes) || a.Attributes.Equal(c.Attributes) {
		t.Error("attributes with a path compare wrongly")
	}
	if diff := cmp.Diff([]string{"x", "y"}, Path(a)); diff != "" || Path(endpoint("a")) != nil {
		t.Error(diff)
	}
}

// weighedOffer draws an update for a weighted_target over children of any kind.
func weighedOffer(rt *rapid.T) *Update {
	u := &Update{}
	c := &WeightedTargetConfig{Targets: map[string]Target{}}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID).Draw(rt, "targets")
	for _, name := range names {
		p := rapid.SampledFrom([]string{PickFirstName, RoundRobinName, WeightedRoundRobinName}).Draw(rt, "policy")
		c.Targets[name] = Target{rapid.Uint32Range(1, 5).Draw(rt, "weight"), choose(rt, p, nil)}
		for _, ep := range offered(rt) {
			u.Endpoints = append(u.Endpoints, WithPath(ep, name))
		}
	}
	u.Config = c
	return u
}

func TestWeightedTargetWalk(t *testing.T) {
	walkBoth(t, containerRules, func() Policy { return WeightedTarget().New(testRegistry()) }, weighedOffer)
}

func TestWeightedPickerEveryPointIsInItsShare(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.OneOf(rapid.Uint32Range(1, 4), rapid.Uint32Range(1, 100)), 1, 20).Draw(rt, "weights")
		p := newWeightedPicker(make([]Picker, len(weights)), weights)
		point := uint64(0)
		for i, w := range weights {
			for range w {
				if got := p.share(point); got != uint32(i) {
					rt.Fatalf("point %d is in share %d, want %d", point, got, i)
				}
				point++
			}
		}
	})
}

func TestWeightedTargetChildThatTriesAgainStillFails(t *testing.T) {
	leaf := scriptedBuilder("leaf")
	r := newRig(t, WeightedTarget().New(NewPolicies(leaf)))
	r.rules = rules{failingFails: true}
	sc := &script{}
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(failing, Failing{errDial}) })
	r.Update(&WeightedTargetConfig{Targets: map[string]Target{"x": {1, Choice{leaf, sc}}}})
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(connecting, Wait); fx.WakeAt(r.now.Add(time.Hour)) })
	r.Step(&ExitIdle{})
	r.WantState(failing)
	r.WantErr(errDial)
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(idle, Wait) })
	r.Step(&ExitIdle{})
	r.WantState(idle)
	r.Close()
}

func TestWeightedTargetRetainedChildIsNotPublished(t *testing.T) {
	r := newWeightedTargetRig(t)
	r.Update(targets(map[string]uint32{"x": 1, "y": 1}), join(at("x", "a"), at("y", "b"))...)
	r.Ready("a", "b")
	r.Update(targets(map[string]uint32{"x": 1}), at("x", "a")...)
	published, resolves := r.published, r.resolves
	r.Set("b", idle, errDial)
	if r.published != published || r.resolves != resolves {
		t.Errorf("published %d, resolved %d times", r.published-published, r.resolves-resolves)
	}
	r.Close()
}
