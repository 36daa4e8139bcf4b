package policy

import (
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"
	"pgregory.net/rapid"
)

// TestTreeWalk drives a whole tree, each of whose levels may also become
// something else by an update:
//
//	switch > priority > weighted_target > outlier_detection > weighted_round_robin
func TestTreeWalk(t *testing.T) {
	walkBoth(t, containerRules, func() Policy { return NewSwitch(testRegistry()) }, func(rt *rapid.T) *Update {
		u := &Update{}
		if rapid.IntRange(0, 9).Draw(rt, "small") == 0 {
			u.Endpoints, u.Config = offered(rt), choose(rt, RoundRobinName, nil)
			return u
		}
		outlier := outlierConfig(choose(rt, WeightedRoundRobinName, nil))
		outlier.Interval = 400 * time.Millisecond
		if rapid.Bool().Draw(rt, "pick_first") {
			outlier.Policy = choose(rt, PickFirstName, nil)
		}
		wt := &WeightedTargetConfig{Targets: map[string]Target{}}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y"}), 0, 2, rapid.ID).Draw(rt, "targets") {
			wt.Targets[name] = Target{rapid.Uint32Range(1, 3).Draw(rt, "weight"), choose(rt, OutlierDetectionName, outlier)}
		}
		pr := &PriorityConfig{Children: map[string]PriorityChild{}}
		pr.Priorities = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0", "1"}), 0, 2, rapid.ID).Draw(rt, "priorities")
		for _, name := range pr.Priorities {
			pr.Children[name] = PriorityChild{Policy: choose(rt, WeightedTargetName, wt)}
		}
		for _, ep := range offered(rt) {
			p := rapid.SampledFrom([]string{"0", "1"}).Draw(rt, "priority")
			u.Endpoints = append(u.Endpoints, WithPath(ep, p, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "target")))
		}
		u.Config = choose(rt, PriorityName, pr)
		return u
	})
}

// benchPickers are READY pickers over 1,000 subchannels.
func benchPickers(t testing.TB) map[string]Picker {
	t.Helper()
	const n = 1000
	weights := make([]float64, n)
	wrr := &wrrPicker{perCall: true}
	wt := &weightedTarget{}
	var all []*watched
	rot := &rotation{}
	for i := range n {
		s := &Subchannel{ID: uint64(i)}
		weights[i] = float64(1 + i%5)
		wrr.turns = append(wrr.turns, wrrTurn{serving{s}, &endpointWeight{}})
		wt.active = append(wt.active, &target{weight: uint32(1 + i%5), shown: State{connectivity.Ready, serving{s}}})
		all = append(all, &watched{sub: s, of: &outlier{calls: &callCounter{}}})
		rot.turns = append(rot.turns, serving{s})
	}
	wrr.schedule.Store(newStride(weights))
	return map[string]Picker{
		WeightedRoundRobinName: wrr,
		WeightedTargetName:     wt.aggregate().Picker,
		OutlierDetectionName:   &countingPicker{rot, newCounterTable(all)},
	}
}

// benchInfo has a cheap random source.
func benchInfo() *PickInfo {
	seed := uint64(1)
	return &PickInfo{Rand: func() uint64 {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		return seed >> 1
	}}
}

func TestContainerPicksDoNotAllocate(t *testing.T) {
	for name, p := range benchPickers(t) {
		info := benchInfo()
		if n := testing.AllocsPerRun(1000, func() {
			pk := p.Pick(info)
			if pk.Done != nil {
				pk.Done.Done(pk.Subchannel, DoneInfo{})
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkContainerPick(b *testing.B) {
	for name, p := range benchPickers(b) {
		b.Run(name, func(b *testing.B) {
			info := benchInfo()
			b.ReportAllocs()
			for b.Loop() {
				p.Pick(info)
			}
		})
	}
}

// walkBoth walks with subchannels as they are, and with impossible ones.
func walkBoth(t *testing.T, rls rules, build func() Policy, offer func(*rapid.T) *Update) {
	t.Helper()
	for name, wild := range map[string]bool{"possible": false, "impossible": true} {
		t.Run(name, func(t *testing.T) {
			rls.wild = wild
			walk(t, rls, build, offer)
		})
	}
}
