package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/resolver"
)

// script is a policy's configuration and, at the same time, what the policy
// does: in each step what is next in it, or nothing.
type script struct {
	steps  []func(time.Time, *Effects)
	events []Event // that it has had
	times  []time.Time
}

func (s *script) next(do func(time.Time, *Effects)) { s.steps = append(s.steps, do) }

// scripted is a policy that follows the script it is configured with.
type scripted struct{ *script }

func scriptedBuilder(name string) Builder {
	return Builder{Name: name, New: func(Registry) Policy { return &scripted{} }}
}

func (s *scripted) Step(ev Event, now time.Time, fx *Effects) {
	if u, ok := ev.(*Update); ok {
		s.script = u.Config.(*script)
	}
	s.events, s.times = append(s.events, ev), append(s.times, now)
	if len(s.steps) > 0 {
		do := s.steps[0]
		s.steps = s.steps[1:]
		do(now, fx)
	}
}

func (s *script) ticks() (n int) {
	for _, ev := range s.events {
		if _, ok := ev.(*Tick); ok {
			n++
		}
	}
	return n
}

func newScripted(t *testing.T) (*rig, *script) {
	t.Helper()
	b := scriptedBuilder("scripted")
	r := newRig(t, NewSwitch(NewPolicies(b)))
	r.rules = rules{}
	sc := &script{}
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(idle, Wait) })
	r.Update(Choice{b, sc})
	return r, sc
}

func TestChildLeftSubchannelsAreRemoved(t *testing.T) {
	r, sc := newScripted(t)
	sc.next(func(_ time.Time, fx *Effects) {
		for range 3 {
			fx.NewSubchannel(resolver.Address{Addr: "a"})
		}
	})
	r.Step(&ExitIdle{})
	sc.steps = nil
	sc.next(func(_ time.Time, fx *Effects) { fx.Remove = append(fx.Remove, r.subs[1].Subchannel) })
	r.Step(&Close{}) // removes one; the rig wants that all are, once
}

func TestChildTouchesOnlyItsOwn(t *testing.T) {
	r, sc := newScripted(t)
	alien := &Subchannel{ID: 99}
	sc.next(func(_ time.Time, fx *Effects) {
		s := fx.NewSubchannel(resolver.Address{Addr: "a"})
		fx.Remove = append(fx.Remove, s, s, alien)
		fx.Connect = append(fx.Connect, alien)
		fx.Report = append(fx.Report, Report{Subchannel: s, Interval: time.Second}, Report{Subchannel: alien})
	})
	r.Step(&ExitIdle{}) // the rig fails for what is not there, or removed twice
	if len(r.Living()) != 0 || len(r.reports) != 0 {
		t.Errorf("%d living, reports %v", len(r.Living()), r.reports)
	}
	before := len(sc.events)
	r.Step(&Changed{Subchannel: r.subs[0].Subchannel, State: ready})
	if len(sc.events) != before {
		t.Error("a removed subchannel was heard of")
	}
	r.Close()
}

func TestChildShutDownSubchannelIsNotRemoved(t *testing.T) {
	r, sc := newScripted(t)
	sc.next(func(_ time.Time, fx *Effects) { fx.NewSubchannel(resolver.Address{Addr: "a"}) })
	r.Step(&ExitIdle{})
	r.Set("a", shutdown, nil)
	r.fx.Reset()
	r.policy.Step(&Close{}, r.now, &r.fx)
	if len(r.fx.Remove) != 0 {
		t.Errorf("removed %v", r.fx.Remove)
	}
}

func TestChildWakesAreKept(t *testing.T) {
	second := func(n int) func(time.Time, *Effects) {
		return func(now time.Time, fx *Effects) { fx.WakeAt(now.Add(time.Duration(n) * time.Second)) }
	}
	r, sc := newScripted(t)
	sc.next(second(10))
	r.Step(&ExitIdle{})
	for range 5 { // Ticks of others, and steps without a wish
		r.Pass(time.Second)
		r.Step(&Tick{})
		r.Step(&ResetBackoff{})
		if r.fx.Wake.IsZero() {
			t.Fatal("the wish is lost")
		}
	}
	if n := sc.ticks(); n != 0 {
		t.Fatalf("%d early Ticks", n)
	}
	sc.next(second(1)) // an earlier wish replaces it
	r.Step(&ResetBackoff{})
	start := r.now
	sc.next(second(7)) // asked for in the Tick
	r.Pass(time.Minute)
	var got []time.Duration
	for i, ev := range sc.events {
		if _, ok := ev.(*Tick); ok {
			got = append(got, sc.times[i].Sub(start))
		}
	}
	if diff := cmp.Diff([]time.Duration{time.Second, 8 * time.Second}, got); diff != "" {
		t.Error(diff)
	}
	r.Close()
}

func TestChildPublishesSomethingSound(t *testing.T) {
	r, sc := newScripted(t)
	sc.next(func(_ time.Time, fx *Effects) { fx.SetState(shutdown, nil) })
	r.Step(&ExitIdle{})
	r.WantState(failing)
	r.Close()
}

func TestNarrowedUpdateOfHostedPolicies(t *testing.T) {
	eps := []resolver.Endpoint{endpoint("a", "b"), endpoint("c")}
	u := &Update{Endpoints: eps, Hosted: resolver.State{Endpoints: eps, Addresses: []resolver.Address{{Addr: "x"}}}}
	n := u.narrowed(eps[:1], Choice{})
	want := []resolver.Address{{Addr: "a"}, {Addr: "b"}}
	if diff := cmp.Diff(want, n.Hosted.Addresses); diff != "" {
		t.Error(diff)
	}
	if len(n.Hosted.Endpoints) != 1 || len(n.Endpoints) != 1 || len(u.Hosted.Addresses) != 1 {
		t.Errorf("narrowed to %+v, from %+v", n, u)
	}
}
