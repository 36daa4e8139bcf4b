package policy

import (
	"context"
	"errors"
	"testing"
)

func TestFewestInFlightIsPicked(t *testing.T) {
	r := newRig(t, LeastRequest().New(nil))
	names := []string{"a:1", "b:1", "c:1", "d:1"}
	r.Update(nil, endpoints(names...)...)
	r.Ready(names...)
	r.WantState(ready)

	t.Log("RPCs that do not end spread evenly")
	var open []Pick
	for range 400 {
		open = append(open, r.Pick(context.Background()))
	}
	counts := map[string]int{}
	for _, pk := range open {
		counts[r.by[pk.Subchannel].addrs[0].Addr]++
	}
	for _, a := range names {
		if counts[a] < 95 || counts[a] > 105 {
			t.Errorf("%s has %d of 400", a, counts[a])
		}
	}

	t.Log("an endpoint whose RPCs end gets most of the next")
	for _, pk := range open {
		if r.by[pk.Subchannel].addrs[0].Addr == "a:1" {
			pk.Done.Done(pk.Subchannel, DoneInfo{Err: errors.New("any end counts")})
		}
	}
	a := 0
	for range 40 {
		if pk := r.Pick(context.Background()); r.by[pk.Subchannel].addrs[0].Addr == "a:1" {
			a++
		}
	}
	if a < 10 {
		t.Errorf("it got %d of 40: no more than its turn", a)
	}
	r.Close()
}

func TestMoreChoicesFindTheIdleEndpoint(t *testing.T) {
	busyPicked := func(choices uint32) (n int) {
		r := newRig(t, LeastRequest().New(nil))
		r.Update(&LeastRequestConfig{ChoiceCount: choices}, endpoints("a:1", "b:1", "c:1")...)
		r.Ready("a:1")
		for range 100 {
			r.Pick(context.Background()) // a:1 is busy
		}
		r.Ready("b:1", "c:1")
		for range 600 {
			pk := r.Pick(context.Background())
			if r.by[pk.Subchannel].addrs[0].Addr == "a:1" {
				n++
			}
			pk.Done.Done(pk.Subchannel, DoneInfo{})
		}
		return n
	}
	// All of the drawn are a:1 in 1/3^choices of the cases.
	if n := busyPicked(2); n < 40 || n > 95 {
		t.Errorf("of 600, %d went to the busy one with 2 choices, want about 67", n)
	}
	if n := busyPicked(10); n > 3 {
		t.Errorf("of 600, %d went to the busy one with 10 choices", n)
	}
}

func TestCountsOutliveAPicker(t *testing.T) {
	r := newRig(t, LeastRequest().New(nil))
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1")
	pk := r.Pick(context.Background())
	r.Ready("b:1")
	lr := r.policy.(*leastRequest)
	diff(t, "in flight", lr.byKey["a:1"].inflight.n.Load(), int64(1))
	pk.Done.Done(pk.Subchannel, DoneInfo{})
	diff(t, "in flight", lr.byKey["a:1"].inflight.n.Load(), int64(0))
}

func TestLeastRequestWithoutReadyEndpoints(t *testing.T) {
	r := newRig(t, LeastRequest().New(nil))
	r.Update(nil, endpoints("a:1")...)
	r.WantState(connecting)
	r.Set("a:1", failing, errDial)
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(nil)
	r.WantErr(ErrNoAddresses)
}

func TestNewChoiceCountIsANewPicker(t *testing.T) {
	r := newRig(t, LeastRequest().New(nil))
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1", "b:1")
	n := r.published
	r.Update(nil, endpoints("a:1", "b:1")...)
	diff(t, "pickers", r.published, n)
	r.Update(&LeastRequestConfig{ChoiceCount: 5}, endpoints("a:1", "b:1")...)
	diff(t, "pickers", r.published, n+1)
}
