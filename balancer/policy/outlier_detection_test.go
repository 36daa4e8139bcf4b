package policy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/resolver"
)

var errRPC = errors.New("rpc failed")

func outlierConfig(p Choice) *OutlierDetectionConfig {
	c := defaultOutlierDetection()
	c.MaxEjectionPercent = 50
	c.FailurePercentage = &FailurePercentageEjection{Threshold: 50, EnforcementPercentage: 100, MinimumHosts: 3, RequestVolume: 10}
	c.Policy = p
	return c
}

// newOutlierRig has a READY round robin of n endpoints, e0, e1 and so on.
func newOutlierRig(t *testing.T, n int, change func(*OutlierDetectionConfig)) (*rig, *OutlierDetectionConfig, []resolver.Endpoint) {
	t.Helper()
	r := newRig(t, OutlierDetection().New(testRegistry()))
	r.rules = containerRules
	c := outlierConfig(choose(t, RoundRobinName, nil))
	if change != nil {
		change(c)
	}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("e", i))
	}
	r.Update(c, endpoints(names...)...)
	r.Ready(names...)
	return r, c, endpoints(names...)
}

// traffic ends n picks; what goes to bad endpoints fails. It returns the counts.
func traffic(r *rig, n int, bad ...string) map[string]int {
	r.t.Helper()
	count := map[string]int{}
	for range n {
		pk := r.Pick(context.Background())
		s := r.by[pk.Subchannel]
		if s == nil {
			r.t.Fatalf("no pick: %+v", pk)
		}
		var err error
		for _, b := range bad {
			if b == s.addrs[0].Addr {
				err = errRPC
			}
		}
		count[s.addrs[0].Addr]++
		if pk.Done != nil {
			pk.Done.Done(pk.Subchannel, DoneInfo{Err: err})
		}
	}
	return count
}

// wantEjected fails the test if picks go to one of those, or not to the others.
func wantEjected(t *testing.T, r *rig, n int, ejected ...string) {
	t.Helper()
	got := r.Spread(10 * n)
	for _, e := range ejected {
		if got[e] != 0 {
			t.Errorf("%s is not ejected: %v", e, got)
		}
	}
	if len(got) != n-len(ejected) {
		t.Errorf("picks %v, want %d endpoints", got, n-len(ejected))
	}
}

func TestOutlierFailurePercentage(t *testing.T) {
	r, c, _ := newOutlierRig(t, 5, nil)
	traffic(r, 100, "e1")
	wantEjected(t, r, 5)
	e1 := r.At("e1")
	r.Pass(c.Interval)
	wantEjected(t, r, 5, "e1")
	if e1.removed || e1.now != ready {
		t.Errorf("its connection is to stay: %+v", e1)
	}
	// Ejected after 10 s for 30 s: the sweep after 40 s is not after that, the
	// one after 50 s is.
	r.Pass(3 * c.Interval)
	wantEjected(t, r, 5, "e1")
	r.Pass(c.Interval)
	wantEjected(t, r, 5)
	if e1.removed || e1.connects != 1 {
		t.Errorf("e1 %+v", e1)
	}
	r.Close()
}

func TestOutlierThresholdIsExclusive(t *testing.T) {
	r, c, _ := newOutlierRig(t, 4, nil)
	for i := range 400 { // exactly half of e2's fail
		pk := r.Pick(t.Context())
		var err error
		if r.by[pk.Subchannel].addrs[0].Addr == "e2" && i%8 < 4 {
			err = errRPC
		}
		pk.Done.Done(pk.Subchannel, DoneInfo{Err: err})
	}
	r.Pass(c.Interval)
	wantEjected(t, r, 4)
	r.Close()
}

func TestOutlierSuccessRate(t *testing.T) {
	r, c, _ := newOutlierRig(t, 10, func(c *OutlierDetectionConfig) {
		c.FailurePercentage = nil
		c.SuccessRate = &SuccessRateEjection{StdevFactor: 1900, EnforcementPercentage: 100, MinimumHosts: 5, RequestVolume: 10}
	})
	traffic(r, 400, "e7")
	r.Pass(c.Interval)
	wantEjected(t, r, 10, "e7")
	r.Close()
}

func TestOutlierSuccessRateOfAllAlike(t *testing.T) {
	r, c, _ := newOutlierRig(t, 6, func(c *OutlierDetectionConfig) {
		c.FailurePercentage = nil
		c.SuccessRate = &SuccessRateEjection{StdevFactor: 0, EnforcementPercentage: 100}
	})
	r.Pass(c.Interval) // no traffic at all: nothing to divide by
	traffic(r, 60, "e0", "e1", "e2", "e3", "e4", "e5")
	r.Pass(c.Interval)
	wantEjected(t, r, 6)
	r.Close()
}

func TestOutlierNothingIsEjected(t *testing.T) {
	tests := map[string]func(*OutlierDetectionConfig){
		"with too few hosts":    func(c *OutlierDetectionConfig) { c.FailurePercentage.MinimumHosts = 6 },
		"with too few RPCs":     func(c *OutlierDetectionConfig) { c.FailurePercentage.RequestVolume = 1000 },
		"without enforcement":   func(c *OutlierDetectionConfig) { c.FailurePercentage.EnforcementPercentage = 0 },
		"beyond the percentage": func(c *OutlierDetectionConfig) { c.MaxEjectionPercent = 0 },
		"with the other alone": func(c *OutlierDetectionConfig) {
			c.FailurePercentage, c.SuccessRate = nil, &SuccessRateEjection{RequestVolume: 1000}
		},
		"without any configured": func(c *OutlierDetectionConfig) { c.FailurePercentage = nil },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r, c, _ := newOutlierRig(t, 5, change)
			traffic(r, 200, "e1")
			r.Pass(c.Interval)
			wantEjected(t, r, 5)
			r.Close()
		})
	}
}

func TestOutlierWithoutAlgorithmsDoesNotCount(t *testing.T) {
	r, _, _ := newOutlierRig(t, 3, func(c *OutlierDetectionConfig) { c.FailurePercentage = nil })
	if pk := r.Pick(t.Context()); pk.Done != nil {
		t.Error("a pick is counted")
	}
	if !r.wake.IsZero() {
		t.Error("a Tick is wanted")
	}
	r.Close()
}

func TestOutlierMaxEjectionPercent(t *testing.T) {
	r, c, _ := newOutlierRig(t, 10, func(c *OutlierDetectionConfig) { c.MaxEjectionPercent = 25 })
	traffic(r, 300, "e1", "e2", "e3", "e4", "e5")
	r.Pass(c.Interval)
	// 0, 10 and 20 % are less than 25 %.
	wantEjected(t, r, 10, "e1", "e2", "e3")
	r.Close()
}

func TestOutlierEjectionTimeGrows(t *testing.T) {
	r, c, _ := newOutlierRig(t, 4, func(c *OutlierDetectionConfig) {
		c.BaseEjectionTime, c.MaxEjectionTime = 15*time.Second, 40*time.Second
	})
	for _, sweeps := range []int{2, 4, 5, 5} { // the first sweep after 15, 30, 40 and 40 s
		traffic(r, 100, "e3")
		r.Pass(c.Interval)
		for range sweeps {
			wantEjected(t, r, 4, "e3")
			r.Pass(c.Interval)
		}
		wantEjected(t, r, 4)
	}
	r.Close()
}

func TestOutlierGoodIntervalsLowerTheMultiplier(t *testing.T) {
	r, c, _ := newOutlierRig(t, 4, nil)
	traffic(r, 100, "e3")
	r.Pass(c.Interval)
	e := r.policy.(*outlierDetection).endpoints[3]
	if e.multiplier != 1 {
		t.Fatalf("multiplier %d", e.multiplier)
	}
	r.Pass(4 * c.Interval)
	wantEjected(t, r, 4)
	r.Pass(c.Interval)
	if e.multiplier != 0 {
		t.Errorf("multiplier %d after a good interval", e.multiplier)
	}
	r.Close()
}

func TestOutlierAllEjectedFails(t *testing.T) {
	r, c, _ := newOutlierRig(t, 3, func(c *OutlierDetectionConfig) { c.MaxEjectionPercent = 100 })
	traffic(r, 90, "e0", "e1", "e2")
	r.Pass(c.Interval)
	r.WantState(failing)
	r.Pass(4 * c.Interval)
	r.WantState(ready)
	r.Close()
}

func TestOutlierLostWhileEjectedConnectsAgain(t *testing.T) {
	r, c, _ := newOutlierRig(t, 4, nil)
	traffic(r, 100, "e0")
	r.Pass(c.Interval)
	for range 2 { // the second time the child has not seen it READY
		r.Set("e0", idle, errDial)
		if s := r.At("e0"); s == nil || s.now != connecting {
			t.Fatalf("e0 is %+v", s)
		}
		r.Ready("e0")
		wantEjected(t, r, 4, "e0")
	}
	r.Pass(4 * c.Interval)
	wantEjected(t, r, 4)
	r.Close()
}

func TestOutlierConfigWithoutAlgorithmsTakesAllBack(t *testing.T) {
	r, c, eps := newOutlierRig(t, 4, nil)
	traffic(r, 100, "e0")
	r.Pass(c.Interval)
	wantEjected(t, r, 4, "e0")
	off := *c
	off.FailurePercentage = nil
	r.Update(&off, eps...)
	wantEjected(t, r, 4)
	r.Update(c, eps...)
	traffic(r, 100, "e1") // counted from now on
	r.Pass(c.Interval)
	wantEjected(t, r, 4, "e1")
	r.Close()
}

func TestOutlierUpdateKeepsTheInterval(t *testing.T) {
	r, c, eps := newOutlierRig(t, 4, nil)
	r.Pass(c.Interval - time.Second)
	traffic(r, 100, "e0")
	shorter := *c
	shorter.Interval /= 2 // over already
	r.Update(&shorter, eps...)
	r.Pass(0)
	wantEjected(t, r, 4, "e0")
	r.Close()
}

func TestOutlierEndpointLeavesAndComes(t *testing.T) {
	r, c, eps := newOutlierRig(t, 4, nil)
	traffic(r, 100, "e0")
	r.Pass(c.Interval)
	r.Update(c, eps[1:]...)
	wantEjected(t, r, 3)
	r.Update(c, eps...)
	r.Ready("e0") // new, and forgiven
	wantEjected(t, r, 4)
	r.Close()
}

func TestOutlierAddressMovesToAnotherEndpoint(t *testing.T) {
	// e0 is ejected as an endpoint of its own. With another address beside it it
	// is another endpoint, which is not.
	leaf := scriptedBuilder("leaf")
	r := newRig(t, OutlierDetection().New(NewPolicies(leaf)))
	r.rules = rules{}
	sc := &script{}
	c := outlierConfig(Choice{leaf, sc})
	c.FailurePercentage.MinimumHosts = 1
	c.MaxEjectionPercent = 100
	var sub *Subchannel
	sc.next(func(_ time.Time, fx *Effects) {
		sub = fx.NewSubchannel(resolver.Address{Addr: "e0"})
		fx.Connect = append(fx.Connect, sub)
		fx.SetState(connecting, Wait)
	})
	sc.next(func(time.Time, *Effects) {}) // IDLE
	sc.next(func(time.Time, *Effects) {}) // CONNECTING
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(ready, serving{sub}) })
	r.Update(c, endpoint("e0"))
	r.Set("e0", ready, nil)
	traffic(r, 20, "e0")
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(failing, Failing{ErrEjected}) })
	r.Pass(c.Interval)
	r.WantErr(ErrEjected)
	n := len(sc.events)
	r.Update(c, endpoint("e0", "e1"))
	last, ok := sc.events[len(sc.events)-1].(*Changed)
	if !ok || last.State != ready || last.Subchannel != sub || len(sc.events) != n+2 {
		t.Errorf("the child heard %d events, last %+v", len(sc.events)-n, last)
	}
	r.Close()
}

func TestOutlierLonePickFirstKeepsItsConnection(t *testing.T) {
	r := newRig(t, OutlierDetection().New(testRegistry()))
	c := outlierConfig(choose(t, PickFirstName, nil))
	c.FailurePercentage.MinimumHosts = 1
	c.MaxEjectionPercent = 100
	r.Update(c, endpoint("a"))
	r.Ready("a")
	traffic(r, 50, "a")
	r.Pass(c.Interval)
	r.WantState(ready)
	if got := r.Picked(); got != "a" {
		t.Errorf("picked %q", got)
	}
	r.Close()
}

func TestOutlierHandsEndsOnToItsChild(t *testing.T) {
	// weighted_round_robin wants to hear of ends too.
	r := newRig(t, OutlierDetection().New(testRegistry()))
	c := outlierConfig(choose(t, WeightedRoundRobinName, &WeightedRoundRobinConfig{Expiration: time.Hour, UpdatePeriod: time.Second, ErrorPenalty: 1}))
	r.Update(c, endpoints("a", "b")...)
	r.Ready("a", "b")
	for range 10 {
		pk := r.Pick(t.Context())
		qps := map[string]float64{"a": 100, "b": 300}[r.by[pk.Subchannel].addrs[0].Addr]
		pk.Done.Done(pk.Subchannel, DoneInfo{Load: &Load{CPU: 0.5, QPS: qps}})
	}
	r.Pass(time.Second)
	wantShares(t, r.Spread(4000), 4000, map[string]float64{"a": 1, "b": 3})
	r.Close()
}

func TestOutlierZeroIntervalDoesNotSpin(t *testing.T) {
	r, _, _ := newOutlierRig(t, 3, func(c *OutlierDetectionConfig) { c.Interval = 0 })
	if !r.wake.After(r.now) {
		t.Errorf("a Tick is wanted at once")
	}
	r.Close()
}

func TestOutlierFoundByBothIsEjectedOnce(t *testing.T) {
	r, c, _ := newOutlierRig(t, 6, func(c *OutlierDetectionConfig) {
		c.SuccessRate = &SuccessRateEjection{StdevFactor: 500, EnforcementPercentage: 100, RequestVolume: 10}
	})
	traffic(r, 120, "e2")
	r.Pass(c.Interval)
	wantEjected(t, r, 6, "e2")
	if m := r.policy.(*outlierDetection).endpoints[2].multiplier; m != 1 {
		t.Errorf("multiplier %d", m)
	}
	r.Close()
}

func TestOutlierEndpointWithoutTrafficHasNoRate(t *testing.T) {
	r, c, eps := newOutlierRig(t, 6, func(c *OutlierDetectionConfig) {
		c.FailurePercentage = nil
		c.SuccessRate = &SuccessRateEjection{StdevFactor: 500, EnforcementPercentage: 100} // any volume
	})
	r.Update(c, append(eps, endpoint("connecting"))...)
	traffic(r, 60, "e4")
	r.Pass(c.Interval)
	wantEjected(t, r, 6, "e4")
	r.Close()
}
