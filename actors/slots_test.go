package actors

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSlotsStayWhereTheyAre(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s Slots[int]
		taken := map[int32]*int{}
		rt.Repeat(map[string]func(*rapid.T){
			"take": func(rt *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(rt, "n") {
					i, p := s.Take()
					if taken[i] != nil {
						rt.Fatalf("slot %d is given out twice", i)
					}
					taken[i] = p
					*p = int(i)
				}
			},
			"free": func(rt *rapid.T) {
				n := rapid.IntRange(1, 30).Draw(rt, "n")
				for i := range taken {
					if n--; n < 0 {
						break
					}
					s.Free(i)
					delete(taken, i)
					if j, p := s.Take(); j != i || *p != int(i) {
						rt.Fatalf("slot %d was freed last, %d holding %d was given out", i, j, *p)
					}
					s.Free(i)
				}
			},
			"": func(rt *rapid.T) {
				if s.Len() != len(taken) || s.Cap() < s.Len() {
					rt.Fatalf("%d of %d taken, want %d", s.Len(), s.Cap(), len(taken))
				}
				seen := 0
				s.Each(func(i int32, p *int) bool {
					seen++
					if taken[i] != p || s.At(i) != p || *p != int(i) || !s.Taken(i) {
						rt.Fatalf("slot %d has moved", i)
					}
					return true
				})
				if seen != len(taken) || s.Taken(int32(s.Cap())) || s.Taken(-1) {
					rt.Fatalf("visited %d, want %d", seen, len(taken))
				}
			},
		})
	})
}

func TestFreeingAFreeSlotPanics(t *testing.T) {
	var s Slots[int]
	i, _ := s.Take()
	s.Free(i)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	s.Free(i)
}

func TestWarmSlotsDoNotAllocate(t *testing.T) {
	var s Slots[[100]byte]
	i, _ := s.Take()
	s.Free(i)
	if n := testing.AllocsPerRun(100, func() { i, _ := s.Take(); s.Free(i) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
