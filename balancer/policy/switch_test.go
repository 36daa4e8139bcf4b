package policy

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/resolver"
	"pgregory.net/rapid"
)

func testRegistry() *Policies { return NewPolicies(Default()...) }

// choose is the Choice of one of this package's policies.
func choose(t rapid.TB, name string, c Config) Choice {
	t.Helper()
	b, ok := testRegistry().Lookup(name)
	if !ok {
		t.Fatalf("no policy %q", name)
	}
	return Choice{Builder: b, Config: c}
}

func newSwitchRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, NewSwitch(testRegistry()))
}

func TestSwitchDefaultsToPickFirst(t *testing.T) {
	for name, c := range map[string]Config{"nil": nil, "empty choice": Choice{}} {
		t.Run(name, func(t *testing.T) {
			r := newSwitchRig(t)
			r.Update(c, endpoints("a", "b")...)
			r.Ready("a")
			if got := len(r.Living()); got != 1 {
				t.Errorf("%d subchannels, want pick_first's 1", got)
			}
			r.Close()
		})
	}
}

func TestSwitchWithoutDefaultFails(t *testing.T) {
	r := newRig(t, NewSwitch(NewPolicies()))
	r.Update(nil, endpoints("a")...)
	r.WantState(failing)
	r.WantErr(ErrNoPolicy)
	r.Close()
}

func TestSwitchSamePolicyIsUpdated(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(choose(t, RoundRobinName, nil), endpoints("a", "b")...)
	r.Ready("a", "b")
	b := r.At("b")
	r.Update(choose(t, RoundRobinName, nil), endpoints("b", "c")...)
	if r.At("a") != nil || r.At("b") != b || r.At("c") == nil {
		t.Errorf("living: %v %v %v", r.At("a"), r.At("b"), r.At("c"))
	}
	r.Close()
}

func TestSwitchOldServesUntilNewIsReady(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(nil, endpoints("a")...)
	r.Ready("a")
	old := r.At("a")
	r.Update(choose(t, RoundRobinName, nil), endpoints("b")...)
	r.WantState(ready)
	if got := r.Picked(); got != "a" || old.removed {
		t.Fatalf("picked %q, old removed: %v", got, old.removed)
	}
	r.Ready("b")
	r.WantState(ready)
	if got := r.Picked(); got != "b" || !old.removed {
		t.Errorf("picked %q, old removed: %v", got, old.removed)
	}
	r.Close()
}

func TestSwitchOldGivesWay(t *testing.T) {
	tests := map[string]struct {
		to   func(*rig)
		want []string // living
	}{
		"when it loses its connection": {func(r *rig) { r.Set("a", idle, errDial) }, []string{"b"}},
		"when the new one fails":       {func(r *rig) { r.Set("b", failing, errDial) }, []string{"b"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newSwitchRig(t)
			r.Update(nil, endpoints("a")...)
			r.Ready("a")
			r.Update(choose(t, RoundRobinName, nil), endpoints("b")...)
			tc.to(r)
			if r.At("a") != nil || r.At("b") == nil || len(r.Living()) != 1 {
				t.Errorf("living %d, a: %v", len(r.Living()), r.At("a"))
			}
			r.Close()
		})
	}
}

func TestSwitchAtOnceIfOldIsNotReady(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(nil, endpoints("a")...)
	r.Update(choose(t, RoundRobinName, nil), endpoints("b")...)
	if r.At("a") != nil {
		t.Error("the old policy is still there")
	}
	r.WantState(connecting)
	r.Close()
}

func TestSwitchBackDropsPending(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(nil, endpoints("a")...)
	r.Ready("a")
	a := r.At("a")
	r.Update(choose(t, RoundRobinName, nil), endpoints("a", "b")...)
	r.Update(nil, endpoints("a")...)
	if a.removed || r.At("b") != nil || len(r.Living()) != 1 || a.connects != 1 {
		t.Errorf("a: %+v, %d living", a, len(r.Living()))
	}
	if got := r.Picked(); got != "a" {
		t.Errorf("picked %q", got)
	}
	r.Close()
}

func TestSwitchReplacesPending(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(nil, endpoints("a")...)
	r.Ready("a")
	r.Update(choose(t, RoundRobinName, nil), endpoints("b")...)
	r.Update(choose(t, LeastRequestName, nil), endpoints("c")...)
	if r.At("b") != nil || r.At("c") == nil || r.Picked() != "a" {
		t.Errorf("b %v, c %v", r.At("b"), r.At("c"))
	}
	r.Ready("c")
	if got := r.Picked(); got != "c" {
		t.Errorf("picked %q", got)
	}
	r.Close()
}

func TestSwitchFailureBeforeUpdate(t *testing.T) {
	r := newSwitchRig(t)
	want := errors.New("no such host")
	r.Step(&Failed{Err: want})
	r.WantState(failing)
	r.WantErr(want)
	r.Step(&ExitIdle{})
	r.Update(nil, endpoints("a")...)
	r.WantState(connecting)
	r.Ready("a")
	r.Step(&Failed{Err: want})
	r.WantState(ready)
	r.Close()
}

func TestSwitchOnlyTheLatestResolves(t *testing.T) {
	r := newRig(t, NewSwitch(NewPolicies(scriptedBuilder("one"), scriptedBuilder("two"))))
	one, two := &script{}, &script{}
	r.rules = rules{}
	one.next(func(_ time.Time, fx *Effects) { fx.SetState(ready, Wait) })
	r.Update(Choice{scriptedBuilder("one"), one})
	two.next(func(_ time.Time, fx *Effects) { fx.SetState(connecting, Wait); fx.WakeAt(r.now.Add(time.Hour)) })
	r.Update(Choice{scriptedBuilder("two"), two})
	one.next(func(_ time.Time, fx *Effects) { fx.Resolve = true })
	r.Step(&ResetBackoff{})
	if r.resolves != 0 {
		t.Error("the policy that is about to go has resolved")
	}
	two.next(func(_ time.Time, fx *Effects) { fx.Resolve = true })
	r.Step(&ResetBackoff{})
	if r.resolves != 1 {
		t.Errorf("%d resolved, want 1", r.resolves)
	}
	r.Close()
}

func TestSwitchAfterCloseNothing(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(nil, endpoints("a")...)
	r.Close()
	for _, ev := range []Event{&Update{Endpoints: endpoints("b")}, &Failed{}, &ExitIdle{}, &ResetBackoff{}, &Tick{}, &Wanted{}, &Close{}} {
		r.Step(ev)
	}
	if len(r.subs) != 1 {
		t.Errorf("%d subchannels", len(r.subs))
	}
}

func TestSwitchWalk(t *testing.T) {
	names := []string{PickFirstName, RoundRobinName, LeastRequestName, WeightedRoundRobinName}
	walkBoth(t, leafRules, func() Policy { return NewSwitch(testRegistry()) }, func(rt *rapid.T) *Update {
		eps := offered(rt)
		return &Update{Endpoints: eps, Config: choose(rt, rapid.SampledFrom(names).Draw(rt, "policy"), nil)}
	})
}

// offered are some endpoints, the same few again and again.
func offered(rt *rapid.T) (eps []resolver.Endpoint) {
	for _, a := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 0, 5).Draw(rt, "endpoints") {
		if rapid.IntRange(0, 4).Draw(rt, "dual") == 0 {
			eps = append(eps, endpoint(a, a+"6"))
		} else {
			eps = append(eps, endpoint(a))
		}
	}
	return eps
}

func TestSwitchBackResolvesAgain(t *testing.T) {
	r := newSwitchRig(t)
	r.Update(nil, endpoints("a")...)
	r.Ready("a")
	r.Update(choose(t, RoundRobinName, nil), endpoints("b")...)
	r.Update(nil, endpoints("a")...)
	r.Set("a", idle, errDial)
	if r.resolves != 1 {
		t.Errorf("%d resolved, want 1", r.resolves)
	}
	r.Close()
}

func TestSwitchFailureIsOverWithThePolicy(t *testing.T) {
	b := scriptedBuilder("silent")
	r := newRig(t, NewSwitch(NewPolicies(b)))
	r.rules = rules{}
	r.Step(&Failed{Err: errDial})
	sc := &script{} // says nothing for now
	sc.next(func(_ time.Time, fx *Effects) { fx.WakeAt(r.now.Add(time.Hour)) })
	r.Update(Choice{b, sc})
	if got := r.state.Connectivity; got != connecting {
		t.Errorf("state %v", got)
	}
	r.Close()
}
