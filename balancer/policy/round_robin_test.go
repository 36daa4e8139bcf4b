package policy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/resolver"
)

func newRoundRobinRig(t *testing.T) *rig { return newRig(t, RoundRobin().New(nil)) }

func TestEveryEndpointIsConnectedTo(t *testing.T) {
	r := newRoundRobinRig(t)
	r.Update(nil, endpoint("a:1", "a:2"), endpoint("b:1"), endpoint(), endpoint("a:2", "a:1"))
	r.WantState(connecting)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "b:1"})
	if r.At("a:1").noHealth {
		t.Error("endpoints are used without their health check")
	}
	r.Ready("b:1")
	r.WantState(ready)
	diff(t, "picks", r.Spread(4), map[string]int{"b:1": 4})

	t.Log("an endpoint tries its addresses as pick_first does")
	r.Pass(attemptDelay)
	r.Ready("a:2")
	diff(t, "picks", r.Spread(4), map[string]int{"a:2": 2, "b:1": 2})
	r.Close()
}

func TestTurnsAreFairWithinOne(t *testing.T) {
	r := newRoundRobinRig(t)
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprintf("10.0.0.%d:1", i))
	}
	r.Update(nil, endpoints(names...)...)
	r.Ready(names...)
	counts := map[string]int{}
	for n := range 100 {
		counts[r.Picked()]++
		least, most := n, 0
		for _, a := range names {
			least, most = min(least, counts[a]), max(most, counts[a])
		}
		if most-least > 1 {
			t.Fatalf("after %d picks: %v", n+1, counts)
		}
	}
}

func TestPickerBeginsAnywhere(t *testing.T) {
	first := map[string]int{}
	for range 200 {
		r := newRoundRobinRig(t)
		r.seed = uint64(len(first)*7919 + 1)
		for i := range first {
			r.seed += uint64(first[i]) * 104729
		}
		r.Update(nil, endpoints("a:1", "b:1")...)
		r.Ready("a:1", "b:1")
		r.fx.Reset()
		first[r.Picked()]++
	}
	if first["a:1"] < 40 || first["b:1"] < 40 {
		t.Errorf("first picks %v", first)
	}
}

func TestLostEndpointLeavesTheTurnsAndConnectsAgain(t *testing.T) {
	r := newRoundRobinRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1", "b:1")
	r.Set("a:1", idle, errDial)
	r.WantState(ready)
	diff(t, "attempts", r.In(connecting), []string{"a:1"})
	diff(t, "resolves", r.resolves, 1)
	diff(t, "picks", r.Spread(4), map[string]int{"b:1": 4})
	r.Set("b:1", idle, errDial)
	r.WantState(connecting)
	r.Ready("a:1")
	diff(t, "picks", r.Spread(4), map[string]int{"a:1": 4})
}

func TestUnchangedTurnsGoOn(t *testing.T) {
	r := newRoundRobinRig(t)
	r.Update(nil, endpoints("a:1", "b:1", "c:1")...)
	r.Ready("a:1", "b:1")
	n := r.published
	r.Set("c:1", failing, errDial)
	r.Set("c:1", idle, nil)
	r.Update(nil, endpoints("a:1", "b:1", "c:1")...)
	diff(t, "pickers", r.published, n)
}

func TestEndpointsComeAndGo(t *testing.T) {
	r := newRoundRobinRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1", "b:1")
	a := r.At("a:1")
	r.Update(nil, endpoints("c:1", "a:1")...)
	if r.At("a:1") != a || r.At("b:1") != nil {
		t.Error("want a:1 kept and b:1 removed")
	}
	diff(t, "picks", r.Spread(4), map[string]int{"a:1": 4})
	r.Ready("c:1")
	diff(t, "picks", r.Spread(4), map[string]int{"a:1": 2, "c:1": 2})
	rr := r.policy.(*roundRobin)
	diff(t, "what is remembered", []int{len(rr.byKey), len(rr.byChild), len(rr.of)}, []int{2, 2, 2})

	t.Log("none are left")
	r.Update(nil)
	r.WantState(failing)
	r.WantErr(ErrNoAddresses)
	diff(t, "living", len(r.Living()), 0)
	diff(t, "resolves", r.resolves, 1)
	r.Update(nil, endpoints("a:1")...)
	r.WantState(connecting)
	r.Close()
}

func TestEndpointsFailEachWithItsError(t *testing.T) {
	errA, errB := errors.New("a"), errors.New("b")
	r := newRoundRobinRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Set("a:1", failing, errA)
	r.WantState(connecting)
	r.Set("b:1", failing, errB)
	r.WantState(failing)
	seen := map[error]int{}
	for range 4 {
		err := r.Pick(context.Background()).Err
		for _, e := range []error{errA, errB} {
			if errors.Is(err, e) {
				seen[e]++
			}
		}
	}
	if seen[errA] != 2 || seen[errB] != 2 {
		t.Errorf("errors of four picks: %v", seen)
	}
	r.Set("a:1", idle, nil)
	r.WantState(failing)
	diff(t, "attempts", r.In(connecting), []string{"a:1"})
}

func TestRoundRobinWithoutEndpointsFailsWithTheResolversError(t *testing.T) {
	r := newRoundRobinRig(t)
	r.Step(&Failed{Err: errDial})
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(nil, endpoints("a:1")...)
	r.Ready("a:1")
	r.Step(&Failed{Err: errDial})
	r.WantState(ready)
}

func TestStoppedEndpointWaitsToBeAsked(t *testing.T) {
	r := newRoundRobinRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("b:1")
	r.Set("a:1", idle, errDial)
	diff(t, "attempts", r.In(connecting), []string(nil))
	r.Step(&ExitIdle{})
	diff(t, "attempts", r.In(connecting), []string{"a:1"})

	t.Log("with all stopped, a pick asks")
	r.Set("a:1", idle, errDial)
	r.Set("b:1", idle, nil)
	r.Set("b:1", idle, errDial)
	r.WantState(idle)
	r.Pick(context.Background())
	r.WantState(connecting)
}

func TestUpdateDoesNotBeginAttemptsAnew(t *testing.T) {
	r := newRoundRobinRig(t)
	e := endpoint("a:1", "a:2")
	r.Update(nil, e)
	r.Pass(attemptDelay - time.Millisecond)
	// What a resolver keeps for itself must not even be compared.
	e.Addresses = []resolver.Address{{Addr: "a:1", Metadata: map[string]int{}}, {Addr: "a:2"}}
	r.Update(nil, e)
	r.Update(nil, e)
	r.Pass(time.Millisecond)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "a:2"})
}
