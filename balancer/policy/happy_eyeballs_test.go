package policy

import (
	"testing"
	"time"
)

func TestAttemptsBegin250msApart(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1", "c:1")...)
	r.Pass(250*time.Millisecond - 1)
	diff(t, "attempts", r.In(connecting), []string{"a:1"})
	r.Pass(1)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "b:1"})
	r.Pass(250 * time.Millisecond)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "b:1", "c:1"})
	if !r.wake.IsZero() {
		t.Errorf("a Tick is wanted at %v, and nothing is left to begin", r.wake)
	}

	t.Log("the slow first one may still win")
	r.Ready("a:1")
	r.WantState(ready)
	diff(t, "living", len(r.Living()), 1)
	diff(t, "picks", r.Spread(3), map[string]int{"a:1": 3})
}

func TestFailureOfTheLastBegunBeginsTheNext(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1", "c:1", "d:1")...)
	r.Pass(250 * time.Millisecond)
	r.Set("a:1", failing, errDial)
	diff(t, "attempts after an older one failed", r.In(connecting), []string{"b:1"})
	r.Pass(100 * time.Millisecond)
	r.Set("b:1", failing, errDial)
	diff(t, "attempts after the newest failed", r.In(connecting), []string{"c:1"})

	t.Log("the time runs anew from there")
	r.Pass(249 * time.Millisecond)
	diff(t, "attempts", r.In(connecting), []string{"c:1"})
	r.Pass(1 * time.Millisecond)
	diff(t, "attempts", r.In(connecting), []string{"c:1", "d:1"})

	t.Log("the pass is over when all have failed, in any order")
	r.Set("d:1", failing, errDial)
	r.WantState(connecting)
	r.Set("c:1", failing, errDial)
	r.WantState(failing)
	r.Close()
}

func TestSuccessStopsTheClock(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1")
	r.Pass(time.Second)
	diff(t, "living", len(r.Living()), 1)
}

func TestPassSkipsAddressesInBackoff(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Set("a:1", failing, errDial)
	r.Update(nil, endpoints("a:1", "c:1")...)
	diff(t, "attempts", r.In(connecting), []string{"c:1"})
	r.WantState(connecting)
	r.Set("c:1", failing, errDial)
	r.WantState(failing)
}
