package flow

import "testing"

func TestRoomChargesNoOctetTwice(t *testing.T) {
	process := NewBudget(1000, nil)
	first, growth := NewBudget(400, process), NewBudget(500, process)
	r := NewRoom(first, growth)
	steps := []struct {
		name string
		do   func() bool
		ok   bool
		used int64
	}{
		{"announced: half of what is left", func() bool { return r.Announce(200) }, true, 200},
		{"announced: more than half of the rest", func() bool { return r.Announce(101) }, false, 200},
		{"arriving: all of the rest", func() bool { return r.Extend(200, 0) }, true, 400},
		{"arriving: more", func() bool { return r.Extend(1, 200) }, false, 400},
		{"the rest, before a window has grown", func() bool { return r.Cover(300) }, false, 400},
		{"the rest, behind a window that has", func() bool { return growth.Charge(300) && r.Cover(300) }, true, 700},
		{"somebody else's rest", func() bool { return r.Cover(1) }, false, 700},
		{"handed over", func() bool { r.Release(400, 300); growth.Refund(300); return true }, true, 0},
		{"alone: whatever the limits are", func() bool { return r.Extend(1200, 0) }, true, 1200},
		{"not alone", func() bool { return r.Extend(1, 0) }, false, 1200},
		{"still alone, with what it has itself", func() bool { return r.Extend(100, 1200) }, true, 1300},
	}
	for _, s := range steps {
		if ok := s.do(); ok != s.ok || process.Used() != s.used {
			t.Fatalf("%s: %v, %d used", s.name, ok, process.Used())
		}
	}
	if r := NewRoom(first, nil); !r.Cover(1 << 40) {
		t.Error("nothing is held against windows that grow unasked")
	}
}
