package policy

import (
	"testing"
	"time"

	"google.golang.org/grpc/resolver"
	"pgregory.net/rapid"
)

func newPriorityRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, Priority().New(testRegistry()))
	r.rules = containerRules
	return r
}

// priorities has a pick_first child for each name, in that order.
func priorities(names ...string) *PriorityConfig {
	c := &PriorityConfig{Children: map[string]PriorityChild{}, Priorities: names}
	for _, name := range names {
		c.Children[name] = PriorityChild{Policy: Choice{Builder: PickFirst()}}
	}
	return c
}

// three priorities of one endpoint each: a, b and c.
func threePriorities(t *testing.T) (*rig, *PriorityConfig, []resolver.Endpoint) {
	t.Helper()
	r := newPriorityRig(t)
	c, eps := priorities("0", "1", "2"), join(at("0", "a"), at("1", "b"), at("2", "c"))
	r.Update(c, eps...)
	return r, c, eps
}

func TestPriorityBuildsChildrenWhenNeeded(t *testing.T) {
	r, _, _ := threePriorities(t)
	r.WantState(connecting)
	if len(r.Living()) != 1 {
		t.Fatalf("%d subchannels, want those of the first priority", len(r.Living()))
	}
	r.Set("a", failing, errDial)
	r.WantState(connecting)
	if r.At("b") == nil || r.At("c") != nil {
		t.Fatal("the second priority is next")
	}
	r.Ready("b")
	r.WantState(ready)
	if got := r.Picked(); got != "b" {
		t.Errorf("picked %q", got)
	}
	r.Close()
}

func TestPriorityFailoverTimer(t *testing.T) {
	r, _, _ := threePriorities(t)
	r.Pass(failover - time.Millisecond)
	if r.At("b") != nil {
		t.Fatal("failed over early")
	}
	r.Pass(time.Millisecond)
	if r.At("b") == nil || r.At("a") == nil {
		t.Fatal("the second priority is tried beside the first")
	}
	r.Pass(failover)
	r.Pass(failover)
	r.WantState(connecting) // all have had their time, and try on
	r.Ready("c")
	if got := r.Picked(); got != "c" {
		t.Errorf("picked %q", got)
	}
	r.Ready("a")
	if got := r.Picked(); got != "a" {
		t.Errorf("picked %q", got)
	}
	r.Close()
}

func TestPriorityAllFail(t *testing.T) {
	r, _, _ := threePriorities(t)
	for _, a := range []string{"a", "b", "c"} {
		r.WantState(connecting)
		r.Set(a, failing, errDial)
	}
	r.WantState(failing)
	r.WantErr(errDial)
	r.Set("a", idle, nil) // pick_first stays in TRANSIENT_FAILURE
	r.WantState(failing)
	r.Ready("a")
	r.WantState(ready)
	r.Close()
}

func TestPriorityHigherTakesOverAndLowerIsRetained(t *testing.T) {
	r, _, _ := threePriorities(t)
	r.Set("a", failing, errDial)
	r.Ready("b")
	b := r.At("b")
	r.Set("a", idle, nil)
	r.Ready("a")
	if got := r.Picked(); got != "a" || b.removed {
		t.Fatalf("picked %q, b removed: %v", got, b.removed)
	}
	r.Pass(retention - time.Second)
	if b.removed {
		t.Fatal("closed early")
	}
	r.Set("a", idle, errDial) // IDLE counts as working: the next RPC connects it
	r.WantState(idle)
	r.Pick(t.Context())
	r.WantState(connecting) // it has its time again
	if got := r.Picked(); got != "" {
		t.Fatalf("picked %q", got)
	}
	r.Set("a", failing, errDial)
	r.WantState(ready)
	if got := r.Picked(); got != "b" || b.connects != 1 {
		t.Fatalf("picked %q, b connected %d times", got, b.connects)
	}
	r.Pass(time.Hour)
	if b.removed {
		t.Fatal("closed although it is in use again")
	}
	r.Set("a", idle, nil)
	r.Ready("a")
	r.Pass(retention)
	if !b.removed {
		t.Error("not closed after the retention period")
	}
	r.Close()
}

func TestPriorityReadyChildHasItsTimeAnew(t *testing.T) {
	r, _, _ := threePriorities(t)
	r.Ready("a")
	r.Pass(time.Hour)
	r.Set("a", idle, errDial)
	r.Pick(t.Context())
	r.Pass(failover - time.Millisecond)
	if r.At("b") != nil {
		t.Fatal("failed over early")
	}
	r.Pass(time.Millisecond)
	if r.At("b") == nil {
		t.Error("did not fail over")
	}
	r.Close()
}

func TestPriorityUpdateMovesAndDropsChildren(t *testing.T) {
	r, _, _ := threePriorities(t)
	r.Set("a", failing, errDial)
	r.Ready("b")
	b := r.At("b")
	r.Update(priorities("1", "3"), join(at("1", "b"), at("3", "d"))...)
	if got := r.Picked(); got != "b" || b.removed || r.At("a") != nil || r.At("d") != nil {
		t.Errorf("picked %q, living %v", got, r.In(ready))
	}
	r.Update(priorities("3", "1"), join(at("1", "b"), at("3", "d"))...)
	r.WantState(connecting) // a new higher priority is given its time
	r.Set("d", failing, errDial)
	if got := r.Picked(); got != "b" || b.connects != 1 {
		t.Errorf("picked %q", got)
	}
	r.Update(priorities())
	r.WantState(failing)
	r.WantErr(errNoPriorities)
	if len(r.Living()) != 0 {
		t.Errorf("%d subchannels left", len(r.Living()))
	}
	r.Close()
}

func TestPriorityIgnoresResolveOfSomeChildren(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		c := priorities("0")
		c.Children["0"] = PriorityChild{Policy: c.Children["0"].Policy, IgnoreResolve: ignore}
		r := newPriorityRig(t)
		r.Update(c, at("0", "a")...)
		r.Ready("a")
		r.Set("a", idle, errDial)
		if (r.resolves == 0) != ignore {
			t.Errorf("ignore %v: resolved %d times", ignore, r.resolves)
		}
		r.resolves = 0
		r.Update(c) // without endpoints, the child would have another look
		if (r.resolves == 0) != ignore {
			t.Errorf("ignore %v: resolved %d times in an update", ignore, r.resolves)
		}
		r.Close()
	}
}

func TestPriorityFailedBeforeUpdate(t *testing.T) {
	r := newPriorityRig(t)
	r.Step(&Failed{Err: errDial})
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(priorities("0"), at("0", "a")...)
	r.WantState(connecting)
	r.Close()
}

func TestPriorityConfigByHandIsSafe(t *testing.T) {
	c := priorities("0", "1")
	c.Priorities = []string{"0", "1", "0", "ghost"}
	r := newPriorityRig(t)
	r.Update(c, join(at("0", "a"), at("1", "b"))...)
	r.Ready("a")
	r.Pass(2 * retention)
	r.WantState(ready)
	r.Close()
}

func TestPriorityWalk(t *testing.T) {
	names := []string{"0", "1", "2", "3"}
	walkBoth(t, containerRules, func() Policy { return Priority().New(testRegistry()) }, func(rt *rapid.T) *Update {
		u := &Update{}
		c := &PriorityConfig{Children: map[string]PriorityChild{}}
		c.Priorities = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(rt, "priorities")
		for _, name := range c.Priorities {
			p := rapid.SampledFrom([]string{PickFirstName, RoundRobinName}).Draw(rt, "policy")
			c.Children[name] = PriorityChild{Policy: choose(rt, p, nil), IgnoreResolve: rapid.Bool().Draw(rt, "ignore")}
			for _, ep := range offered(rt) {
				u.Endpoints = append(u.Endpoints, WithPath(ep, name))
			}
		}
		u.Config = c
		return u
	})
}

func TestPriorityConnectingIsBetterThanTheLast(t *testing.T) {
	r, _, _ := threePriorities(t)
	r.Pass(failover) // a has had its time, and still connects
	r.Set("b", failing, errDial)
	r.Set("c", failing, errDial)
	r.WantState(connecting)
	if got := r.Pick(t.Context()); got.Err != nil {
		t.Errorf("an RPC fails with %v while a connects", got.Err)
	}
	r.Close()
}

func TestPriorityFailedChildHasNoTimeAnew(t *testing.T) {
	leaf := scriptedBuilder("leaf")
	r := newRig(t, Priority().New(NewPolicies(leaf)))
	r.rules = rules{}
	first, second := &script{}, &script{}
	c := priorities("0", "1")
	c.Children["0"], c.Children["1"] = PriorityChild{Policy: Choice{leaf, first}}, PriorityChild{Policy: Choice{leaf, second}}
	first.next(func(_ time.Time, fx *Effects) { fx.SetState(failing, Failing{errDial}) })
	second.next(func(_ time.Time, fx *Effects) { fx.SetState(ready, Wait) })
	r.Update(c)
	r.WantState(ready)
	first.next(func(_ time.Time, fx *Effects) { fx.SetState(connecting, Wait) })
	r.Step(&ResetBackoff{})
	r.WantState(ready) // the second goes on to serve
	first.next(func(_ time.Time, fx *Effects) { fx.SetState(idle, Wait) })
	r.Step(&ResetBackoff{})
	r.WantState(idle)
	first.next(func(_ time.Time, fx *Effects) { fx.SetState(connecting, Wait) })
	r.Step(&ResetBackoff{})
	r.WantState(connecting)
	r.Close()
}
