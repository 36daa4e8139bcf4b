package policy

import (
	"testing"

	"pgregory.net/rapid"
)

func TestCallCounterBuckets(t *testing.T) {
	c := &callCounter{}
	for i := range 7 {
		var err error
		if i < 3 {
			err = errRPC
		}
		c.Done(nil, DoneInfo{Err: err})
	}
	if ok, failed := c.rotate(); ok != 4 || failed != 3 {
		t.Errorf("%d succeeded, %d failed", ok, failed)
	}
	if ok, failed := c.rotate(); ok+failed != 0 {
		t.Errorf("%d succeeded, %d failed in an empty interval", ok, failed)
	}
}

func TestCounterTable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := map[*Subchannel]*callCounter{{ID: 1}: nil}
		var of []*watched
		for _, id := range rapid.SliceOfN(rapid.Uint64(), 0, 100).Draw(rt, "ids") {
			w := &watched{sub: &Subchannel{ID: id}}
			if rapid.Bool().Draw(rt, "known") {
				w.of = &outlier{calls: &callCounter{}}
				want[w.sub] = w.of.calls
			} else {
				want[w.sub] = nil
			}
			of = append(of, w)
		}
		table := newCounterTable(of)
		for s, c := range want {
			if got := table.find(s); got != c {
				rt.Fatalf("%d has %p, want %p", s.ID, got, c)
			}
		}
	})
}

func TestOutlierAbandonedPicksDoNotCount(t *testing.T) {
	r, c, _ := newOutlierRig(t, 3, nil)
	for range 300 {
		pk := r.Pick(t.Context())
		pk.Done.Done(pk.Subchannel, DoneInfo{Err: errRPC, Abandoned: true})
	}
	r.Pass(c.Interval)
	wantEjected(t, r, 3)
	r.Close()
}

func TestOutlierEndsWhileNothingIsCountedAreForgotten(t *testing.T) {
	r, c, eps := newOutlierRig(t, 4, nil)
	var open []Pick
	for range 100 {
		open = append(open, r.Pick(t.Context()))
	}
	off := *c
	off.FailurePercentage = nil
	r.Update(&off, eps...)
	e0 := r.At("e0").Subchannel
	for _, pk := range open {
		if pk.Subchannel == e0 {
			pk.Done.Done(e0, DoneInfo{Err: errRPC})
		} else {
			pk.Done.Done(pk.Subchannel, DoneInfo{})
		}
	}
	r.Update(c, eps...)
	r.Pass(c.Interval)
	wantEjected(t, r, 4)
	r.Close()
}
