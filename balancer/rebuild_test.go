package balancer

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// fragile panics when the backoff is reset.
type fragile struct{ oneForAll }

func (p *fragile) Step(ev policy.Event, now time.Time, fx *policy.Effects) {
	if _, ok := ev.(*policy.ResetBackoff); ok {
		panic("fragile")
	}
	p.oneForAll.Step(ev, now, fx)
}

// When a policy panics, the last picker serves until new policies are READY. No
// RPC is hurt, not even one in flight.
func TestRebuild(t *testing.T) {
	balancerTest(t, up(), making(func() policy.Policy { return &fragile{} }), func(w *world) {
		w.offer("a")
		w.expect(ready)
		old := w.server()
		c := w.call()
		w.bal.Tell(&ResetBackoff{})
		w.set("a", "hangs") // the new policy's connection is not up for a while
		for range 10 {
			time.Sleep(time.Second)
			w.expect(ready)
			if _, ok, err := pick(w.picker()); !ok {
				t.Fatalf("nothing to pick: %v", err)
			}
		}
		w.set("a", "up")
		time.Sleep(30 * time.Second)
		w.expectStates(connecting, ready)
		if w.server() == old {
			t.Error("no new connection")
		}
		if w.table.Find("channel/balancer/subchannel-2") == nil {
			t.Error("no new subchannel")
		}
		if st := c.Status(); st != nil {
			t.Errorf("the call in flight: %v", st)
		}
		c.Cancel(codes.Canceled, "")
		c.Release()
		time.Sleep(time.Second)
		if w.table.Find("channel/balancer/subchannel-1") != nil {
			t.Error("the old subchannel lives on")
		}
	})
}

// The old connections may end before the new ones are up: then the new policies'
// state counts.
func TestRebuildWithoutTheOld(t *testing.T) {
	balancerTest(t, up(), making(func() policy.Policy { return &fragile{} }), func(w *world) {
		w.offer("a")
		w.expect(ready)
		w.set("a", "hangs")
		w.bal.Tell(&ResetBackoff{})
		time.Sleep(2 * time.Second)
		w.expect(ready)
		_ = w.server().nc.Close()
		w.expect(connecting)
		w.set("a", "up")
		time.Sleep(time.Minute)
		w.expect(ready)
	})
}

// A policy that panics with its first update fails RPCs that do not wait, and is
// tried again with a growing pause.
func TestPolicyThatAlwaysPanics(t *testing.T) {
	built := 0
	balancerTest(t, up(), making(func() policy.Policy { built++; panic("no policy") }), func(w *world) {
		w.offer("a")
		w.expect(failure)
		if _, ok, err := pick(w.picker()); ok || err == nil {
			t.Errorf("pick: %v %v", ok, err)
		}
		time.Sleep(time.Minute)
		w.expect(failure)
		if built < 5 || built > 10 {
			t.Errorf("built %d times in a minute", built)
		}
	})
}

// RPCs that met the connection of before in the moment of its end choose again,
// although the policies that made it are no more.
func TestRebuildWithHalfOfTheOld(t *testing.T) {
	fragileTurns := func() policy.Policy {
		return &breaks{Policy: policy.RoundRobin().New(nil)}
	}
	balancerTest(t, map[string]string{"a": "up", "b": "up"}, making(fragileTurns), func(w *world) {
		w.offer("a", "b")
		w.expect(ready)
		w.set("a", "hangs")
		w.set("b", "hangs")
		w.bal.Tell(&ResetBackoff{})
		time.Sleep(5 * time.Second) // the new policies wait for their connections
		w.expect(ready)
		old := w.picker()
		_ = w.server().nc.Close()
		if w.picker() == old {
			t.Error("RPCs that wait do not hear of the loss")
		}
		served := 0
		for range 10 {
			if _, ok, _ := pick(w.picker()); ok {
				served++
			}
		}
		if served == 0 {
			t.Error("what is left of the old policies does not serve")
		}
	})
}

// breaks panics when the backoff is reset.
type breaks struct{ policy.Policy }

func (p *breaks) Step(ev policy.Event, now time.Time, fx *policy.Effects) {
	if _, ok := ev.(*policy.ResetBackoff); ok {
		panic("fragile")
	}
	p.Policy.Step(ev, now, fx)
}
