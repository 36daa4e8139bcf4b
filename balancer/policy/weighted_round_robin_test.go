package policy

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// newWRRRig has READY endpoints.
func newWRRRig(t *testing.T, change func(*WeightedRoundRobinConfig), addrs ...string) (*rig, *WeightedRoundRobinConfig) {
	t.Helper()
	r := newRig(t, WeightedRoundRobin().New(testRegistry()))
	c := defaultWeightedRoundRobin()
	if change != nil {
		change(c)
	}
	r.Update(c, endpoints(addrs...)...)
	r.Ready(addrs...)
	return r, c
}

// serve ends n RPCs, each with the load that its endpoint has.
func serve(r *rig, n int, load map[string]*Load) {
	r.t.Helper()
	for range n {
		pk := r.state.Picker.Pick(r.info(context.Background()))
		if s := r.by[pk.Subchannel]; pk.Done != nil {
			pk.Done.Done(pk.Subchannel, DoneInfo{Load: load[s.addrs[0].Addr]})
		}
	}
}

// busy is a load of a tenth: the weight is ten times the queries.
func busy(qps float64) *Load { return &Load{CPU: 0.1, QPS: qps} }

func TestWRRFollowsWeights(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b", "c")
	load := map[string]*Load{"a": busy(100), "b": busy(200), "c": busy(500)}
	serve(r, 30, load)
	r.Pass(c.UpdatePeriod)
	even := map[string]float64{"a": 1, "b": 1, "c": 1}
	wantShares(t, r.Spread(3000), 3000, even) // in the blackout
	for range 9 {
		r.Pass(time.Second)
		serve(r, 30, load)
	}
	wantShares(t, r.Spread(3000), 3000, even)
	published := r.published
	r.Pass(c.UpdatePeriod)
	wantShares(t, r.Spread(10_000), 10_000, map[string]float64{"a": 1, "b": 2, "c": 5})
	if r.published != published {
		t.Error("a new schedule is not a new picker")
	}
	r.Close()
}

// known brings the endpoints past their blackout, with these loads.
func known(r *rig, c *WeightedRoundRobinConfig, load map[string]*Load) {
	for range int(c.Blackout/time.Second) + 2 {
		serve(r, 40, load)
		r.Pass(time.Second)
	}
}

func TestWRRWeightOfAReport(t *testing.T) {
	tests := map[string]struct {
		load    *Load
		penalty float64
		want    float64
	}{
		"CPU":                             {&Load{CPU: 0.5, QPS: 100}, 1, 200},
		"application rather than CPU":     {&Load{CPU: 0.5, Application: 0.25, QPS: 100}, 1, 400},
		"errors":                          {&Load{CPU: 0.5, QPS: 100, EPS: 50}, 1, 100},
		"errors with a penalty":           {&Load{CPU: 0.5, QPS: 100, EPS: 50}, 3, 50},
		"errors without penalty":          {&Load{CPU: 0.5, QPS: 100, EPS: 50}, 0, 200},
		"none":                            {nil, 1, 0},
		"no queries":                      {&Load{CPU: 0.5}, 1, 0},
		"no utilisation":                  {&Load{QPS: 100, EPS: 5}, 1, 0},
		"negative queries":                {&Load{CPU: 0.5, QPS: -1}, 1, 0},
		"negative utilisation":            {&Load{CPU: -0.5, QPS: 1}, 1, 0},
		"negative errors":                 {&Load{CPU: 0.5, QPS: 100, EPS: -90}, 1, 200},
		"utilisation is not a number":     {&Load{CPU: math.NaN(), QPS: 1}, 1, 0},
		"queries are not a number":        {&Load{CPU: 1, QPS: math.NaN()}, 1, 0},
		"errors are not a number":         {&Load{CPU: 0.5, QPS: 100, EPS: math.NaN()}, 1, 200},
		"infinite queries":                {&Load{CPU: 1, QPS: math.Inf(1)}, 1, 0},
		"infinite utilisation":            {&Load{CPU: math.Inf(1), QPS: 1}, 1, 0},
		"a weight that is beyond numbers": {&Load{CPU: math.SmallestNonzeroFloat64, QPS: math.MaxFloat64}, 1, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := &endpointWeight{}
			e.penalty.Store(math.Float64bits(tc.penalty))
			if got := e.from(tc.load); got != tc.want {
				t.Errorf("weight %v, want %v", got, tc.want)
			}
		})
	}
}

func TestWRRFewerThanTwoWeightsIsRoundRobin(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b", "c")
	known(r, c, map[string]*Load{"a": busy(900)})
	got := r.Spread(300)
	if got["a"] != 100 || got["b"] != 100 || got["c"] != 100 {
		t.Errorf("picks %v, want 100 each", got)
	}
	r.Close()
}

func TestWRRUnknownWeightIsTheMean(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b", "c")
	known(r, c, map[string]*Load{"a": busy(100), "b": busy(300)})
	wantShares(t, r.Spread(6000), 6000, map[string]float64{"a": 1, "b": 3, "c": 2})
	r.Close()
}

func TestWRRExpiration(t *testing.T) {
	load := map[string]*Load{"a": busy(100), "b": busy(300)}
	r, c := newWRRRig(t, nil, "a", "b")
	known(r, c, load)
	r.Pass(c.Expiration - 2*time.Second)
	wantShares(t, r.Spread(1000), 1000, map[string]float64{"a": 1, "b": 3})
	r.Pass(3 * time.Second)
	even := map[string]float64{"a": 1, "b": 1}
	wantShares(t, r.Spread(1000), 1000, even)
	serve(r, 10, load) // the blackout applies again
	r.Pass(c.Blackout)
	wantShares(t, r.Spread(1000), 1000, even)
	r.Pass(time.Second)
	wantShares(t, r.Spread(1000), 1000, map[string]float64{"a": 1, "b": 3})
	r.Close()
}

func TestWRRReconnectionForgetsTheWeight(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b", "c")
	load := map[string]*Load{"a": busy(100), "b": busy(300), "c": busy(500)}
	known(r, c, load)
	wantShares(t, r.Spread(9000), 9000, map[string]float64{"a": 1, "b": 3, "c": 5})
	r.Set("c", idle, errDial)
	wantShares(t, r.Spread(4000), 4000, map[string]float64{"a": 1, "b": 3})
	r.Ready("c")
	wantShares(t, r.Spread(6000), 6000, map[string]float64{"a": 1, "b": 3, "c": 2})
	known(r, c, load)
	wantShares(t, r.Spread(9000), 9000, map[string]float64{"a": 1, "b": 3, "c": 5})
	r.Close()
}

func TestWRROutOfBand(t *testing.T) {
	r, c := newWRRRig(t, func(c *WeightedRoundRobinConfig) { c.OutOfBand, c.OutOfBandPeriod = true, 3*time.Second }, "a", "b")
	for _, a := range []string{"a", "b"} {
		if got := r.At(a).interval; got != 3*time.Second {
			t.Fatalf("%s reports every %v", a, got)
		}
	}
	if pk := r.state.Picker.Pick(r.info(context.Background())); pk.Done != nil {
		t.Error("an RPC's report is wanted")
	}
	report := func() {
		r.Step(&Loaded{Subchannel: r.At("a").Subchannel, Report: busy(100)})
		r.Step(&Loaded{Subchannel: r.At("b").Subchannel, Report: busy(400)})
		r.Step(&Loaded{Subchannel: r.At("b").Subchannel}) // none in it
	}
	report()
	r.Pass(c.Blackout + time.Second)
	wantShares(t, r.Spread(5000), 5000, map[string]float64{"a": 1, "b": 4})

	faster := *c
	faster.OutOfBandPeriod = time.Nanosecond
	r.Update(&faster, endpoints("a", "b", "c")...)
	for _, a := range []string{"a", "b", "c"} {
		if got := r.At(a).interval; got != minWeightPeriod {
			t.Errorf("%s reports every %v", a, got)
		}
	}
	off := *c
	off.OutOfBand = false
	r.Update(&off, endpoints("a", "b", "c")...)
	for _, s := range r.Living() {
		if s.interval != 0 {
			t.Errorf("%v still reports", s.addrs)
		}
	}
	r.Update(&off, endpoints("a", "b", "c")...)
	r.reports = nil
	r.Update(&off, endpoints("a")...)
	if len(r.reports) != 0 {
		t.Errorf("reports %v", r.reports)
	}
	r.Close()
}

func TestWRROutOfBandOfEndpointsThatChange(t *testing.T) {
	r, c := newWRRRig(t, func(c *WeightedRoundRobinConfig) { c.OutOfBand = true }, "a", "b")
	r.reports = nil
	r.Update(c, endpoints("b", "c")...) // the rig refuses reports of what is removed
	if len(r.reports) != 1 || r.At("c").interval != c.OutOfBandPeriod {
		t.Errorf("reports %v", r.reports)
	}
	r.Set("c", failing, errDial)
	r.Step(&Loaded{Subchannel: r.subs[0].Subchannel, Report: busy(1)}) // late
	r.Close()
}

func TestWRRStates(t *testing.T) {
	r, _ := newWRRRig(t, nil)
	r.WantState(failing)
	r.Update(nil, endpoints("a", "b")...)
	r.WantState(connecting)
	r.Set("a", failing, errDial)
	r.Set("b", failing, errDial)
	r.WantState(failing)
	r.WantErr(errDial)
	r.Set("b", idle, nil)
	r.Ready("b")
	r.WantState(ready)
	if !r.wake.IsZero() {
		t.Error("one endpoint has no need of a schedule")
	}
	r.Close()
}

func TestWRRTurnsGoOnWhenOthersConnect(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b")
	published := r.published
	r.Step(&Failed{Err: errDial})
	r.Step(&ExitIdle{})
	if r.published != published {
		t.Error("published what does not differ")
	}
	r.Update(c, endpoints("a", "b")...)
	if r.published == published {
		t.Error("an update is to be seen in a new picker")
	}
	r.Close()
}

func TestWRRUpdatePeriodHasALeast(t *testing.T) {
	r, _ := newWRRRig(t, func(c *WeightedRoundRobinConfig) { c.UpdatePeriod = 0 }, "a", "b")
	if got := r.wake.Sub(r.now); got != minWeightPeriod {
		t.Errorf("next look in %v", got)
	}
	r.Close()
}

func TestWRRForgetsEndpoints(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b")
	for range 10 {
		r.Update(c, endpoints("c", "d")...)
		r.Update(c, endpoints("a", "b")...)
	}
	if n := len(r.policy.(*weightedRoundRobin).weights); n != 2 {
		t.Errorf("%d weights kept", n)
	}
	r.Close()
}

func TestWRRWalk(t *testing.T) {
	walkBoth(t, leafRules, func() Policy { return &loadedWRR{newWeightedRoundRobin()} }, func(rt *rapid.T) *Update {
		c := defaultWeightedRoundRobin()
		c.OutOfBand = rapid.Bool().Draw(rt, "out of band")
		c.Blackout = time.Duration(rapid.IntRange(0, 1).Draw(rt, "blackout")) * time.Second
		c.UpdatePeriod = 200 * time.Millisecond
		return &Update{Endpoints: offered(rt), Config: c}
	})
}

// loadedWRR is a weighted_round_robin whose RPCs report all kinds of things.
type loadedWRR struct{ *weightedRoundRobin }

func (w *loadedWRR) Step(ev Event, now time.Time, fx *Effects) {
	w.weightedRoundRobin.Step(ev, now, fx)
	if w.picker == nil {
		return
	}
	strange := []float64{0, 1, 100, 1e300, -1, math.NaN(), math.Inf(1)}
	number := func() float64 { return strange[fx.Host.Rand()%uint64(len(strange))] }
	pk := w.picker.Pick(&PickInfo{Rand: fx.Host.Rand})
	if pk.Done != nil {
		pk.Done.Done(pk.Subchannel, DoneInfo{Load: &Load{CPU: number(), Application: number(), QPS: number(), EPS: number()}})
	}
}

// doneOf is a picker whose picks have a Done of their own.
type doneOf struct {
	*Subchannel
	ends int
}

func (d *doneOf) Pick(*PickInfo) Pick        { return Pick{Subchannel: d.Subchannel, Done: d} }
func (d *doneOf) Done(*Subchannel, DoneInfo) { d.ends++ }

func TestWRRHandsEndsOnToItsChild(t *testing.T) {
	child := &doneOf{Subchannel: &Subchannel{}}
	e := &endpointWeight{}
	p := &wrrPicker{turns: []wrrTurn{{child, e}}, perCall: true}
	p.schedule.Store(newStride([]float64{0}))
	pk := p.Pick(&PickInfo{})
	pk.Done.Done(pk.Subchannel, DoneInfo{Load: busy(10)})
	if child.ends != 1 || e.fresh.Load() == 0 {
		t.Errorf("child heard %d times, weight %v", child.ends, e.fresh.Load())
	}
}

func TestWRRReconnectedEndpointHasItsBlackout(t *testing.T) {
	load := map[string]*Load{"a": busy(100), "b": busy(300), "c": busy(500)}
	r, c := newWRRRig(t, nil, "a", "b", "c")
	known(r, c, load)
	serve(r, 30, load) // left for the next look, of the connection that is lost now
	r.Set("c", idle, errDial)
	r.Ready("c")
	mean := map[string]float64{"a": 1, "b": 3, "c": 2}
	r.Pass(c.Blackout + 2*time.Second)
	wantShares(t, r.Spread(6000), 6000, mean)
	serve(r, 30, load)
	r.Pass(c.Blackout)
	wantShares(t, r.Spread(6000), 6000, mean)
	r.Pass(time.Second)
	wantShares(t, r.Spread(9000), 9000, map[string]float64{"a": 1, "b": 3, "c": 5})
	r.Close()
}

func TestWRRReportsOutOfBandThatNobodyAskedFor(t *testing.T) {
	r, c := newWRRRig(t, nil, "a", "b")
	for _, s := range r.Living() {
		r.Step(&Loaded{Subchannel: s.Subchannel, Report: busy(float64(s.ID * 100))})
	}
	r.Pass(c.Blackout + time.Second)
	wantShares(t, r.Spread(2000), 2000, map[string]float64{"a": 1, "b": 1})
	r.Close()
}
