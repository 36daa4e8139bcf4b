package policy

import (
	"context"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// checkOutliers is what holds for outlier_detection in particular.
func checkOutliers(r *rig) {
	r.t.Helper()
	o := r.policy.(*outlierDetection)
	if len(o.watched) != len(r.Living()) || len(o.bySub) != len(o.watched) {
		r.t.Fatalf("%d watched, %d living", len(o.watched), len(r.Living()))
	}
	usable := false
	for _, w := range o.watched {
		if s := r.by[w.sub]; w.masked != (s.heard && s.told == ready && w.of != nil && !w.of.ejected.IsZero()) {
			r.t.Fatalf("%s: masked %v", w.address, w.masked)
		}
		usable = usable || w.last.State == ready && !w.masked
	}
	if usable != (r.state.Connectivity == ready) {
		r.t.Fatalf("some are READY and not ejected: %v, and the policy is %v", usable, r.state.Connectivity)
	}
	for range 4 {
		if w := o.bySub[r.state.Picker.Pick(r.info(context.Background())).Subchannel]; w != nil && w.masked {
			r.t.Fatalf("picked %s, which is ejected", w.address)
		}
	}
}

func TestOutlierWalk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(rt, OutlierDetection().New(testRegistry()))
		r.manual, r.rules = true, containerRules
		offer := func(rt *rapid.T) *Update {
			p := rapid.SampledFrom([]string{RoundRobinName, WeightedRoundRobinName}).Draw(rt, "policy")
			c := outlierConfig(choose(rt, p, nil))
			c.Interval = 300 * time.Millisecond
			c.BaseEjectionTime = 200 * time.Millisecond
			c.MaxEjectionPercent = rapid.Uint32Range(0, 100).Draw(rt, "max")
			c.FailurePercentage.MinimumHosts, c.FailurePercentage.RequestVolume = 1, 1
			if rapid.IntRange(0, 3).Draw(rt, "off") == 0 {
				c.FailurePercentage = nil
			}
			return &Update{Endpoints: offered(rt), Config: c}
		}
		r.Step(offer(rt))
		for range rapid.IntRange(0, 120).Draw(rt, "steps") {
			r.stroll(rt, offer)
			for range 3 {
				pk := r.state.Picker.Pick(r.info(context.Background()))
				if pk.Done != nil {
					pk.Done.Done(pk.Subchannel, DoneInfo{Err: rapid.SampledFrom([]error{nil, errRPC}).Draw(rt, "end")})
				}
			}
			checkOutliers(r)
		}
		r.deliverAll()
		r.Close()
	})
}

// TestPicksDuringSteps picks and ends RPCs while the policy sweeps counts and
// makes schedules; the race detector watches.
func TestPicksDuringSteps(t *testing.T) {
	r := newRig(t, OutlierDetection().New(testRegistry()))
	wrr := defaultWeightedRoundRobin()
	wrr.Blackout, wrr.UpdatePeriod = 0, minWeightPeriod
	c := outlierConfig(choose(t, WeightedRoundRobinName, wrr))
	c.Interval = time.Second
	r.Update(c, endpoints("a", "b", "c")...)
	r.Ready("a", "b", "c")
	picker := r.state.Picker
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				pk := picker.Pick(benchInfo())
				pk.Done.Done(pk.Subchannel, DoneInfo{Load: busy(float64(pk.Subchannel.ID * uint64(1+i%3)))})
			}
		})
	}
	for range 200 {
		r.Pass(minWeightPeriod)
	}
	wg.Wait()
	r.Close()
}
