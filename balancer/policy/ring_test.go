package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func shares(r ring, n int) []int {
	out := make([]int, n)
	for _, e := range r.marks {
		out[e.endpoint]++
	}
	return out
}

func TestRingFollowsWeights(t *testing.T) {
	tests := []struct {
		name        string
		weights     []uint32
		least, most uint32
		want        []int
	}{
		{"equal", []uint32{1, 1, 1}, 12, 100, []int{4, 4, 4}},
		{"the lightest has a whole number", []uint32{1, 3}, 10, 100, []int{3, 9}},
		{"weights that cannot be met", []uint32{3, 3, 4}, 7, 7, []int{3, 2, 2}},
		{"one endpoint", []uint32{5}, 4, 100, []int{4}},
		{"more endpoints than entries", []uint32{1, 1, 1, 1}, 1, 2, []int{1, 0, 1, 0}},
		{"extremes", []uint32{1, math.MaxUint32, math.MaxUint32}, 8, 16, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			arcs := make([]arc, len(tt.weights))
			for i, w := range tt.weights {
				arcs[i] = arc{fmt.Sprint("e", i), w}
			}
			r := newRing(arcs, tt.least, tt.most)
			if len(r.marks) > int(tt.most) {
				t.Errorf("%d entries, want at most %d", len(r.marks), tt.most)
			}
			if !slices.IsSortedFunc(r.marks, func(a, b mark) int { return cmp.Compare(a.hash, b.hash) }) {
				t.Error("not in the order of hashes")
			}
			if tt.want != nil {
				diff(t, "entries", shares(r, len(arcs)), tt.want)
			}
		})
	}
}

// TestPlacesAreThoseOfOtherClients: clients in other languages place endpoints
// alike, so that they agree on where a key belongs.
func TestPlacesAreThoseOfOtherClients(t *testing.T) {
	r := newRing([]arc{{"10.0.0.1:80", 1}}, 3, 3)
	var want []uint64
	for i := range 3 {
		want = append(want, xxhash.Sum64String(fmt.Sprintf("10.0.0.1:80_%d", i)))
	}
	slices.Sort(want)
	var got []uint64
	for _, e := range r.marks {
		got = append(got, e.hash)
	}
	diff(t, "hashes", got, want)
}

func TestOrderOfEndpointsIsNothing(t *testing.T) {
	a := newRing([]arc{{"x", 1}, {"y", 2}}, 64, 128)
	b := newRing([]arc{{"y", 2}, {"x", 1}}, 64, 128)
	for i := range b.marks {
		b.marks[i].endpoint = 1 - b.marks[i].endpoint
	}
	if !slices.Equal(a.marks, b.marks) {
		t.Error("rings differ")
	}
}

func TestFewKeysMoveWhenAnEndpointLeaves(t *testing.T) {
	var arcs []arc
	for i := range 10 {
		arcs = append(arcs, arc{fmt.Sprintf("10.0.0.%d:1", i), 1})
	}
	before, after := newRing(arcs, 1024, 4096), newRing(arcs[:9], 1024, 4096)
	moved := 0
	for i := range 10000 {
		h := xxhash.Sum64String(fmt.Sprint(i))
		was := before.marks[before.at(h)].endpoint
		if was != 9 && was != after.marks[after.at(h)].endpoint {
			moved++
		}
	}
	if moved > 1000 {
		t.Errorf("%d of 10000 keys moved between endpoints that stayed", moved)
	}
}

func TestHashesGoRound(t *testing.T) {
	r := indexed([]mark{{10, 0}, {20, 1}, {20, 2}, {30, 3}})
	for h, want := range map[uint64]int{0: 0, 10: 0, 11: 1, 20: 1, 21: 3, 30: 3, 31: 0, math.MaxUint64: 0} {
		if got := r.at(h); got != want {
			t.Errorf("%d belongs to entry %d, want %d", h, got, want)
		}
	}
}

func TestIndexFindsWhatASearchFinds(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100, 1024, 4096} {
		var marks []mark
		for i := range n {
			marks = append(marks, mark{xxhash.Sum64String(fmt.Sprint(n, i)), int32(i)})
		}
		slices.SortFunc(marks, func(a, b mark) int { return cmp.Compare(a.hash, b.hash) })
		r := indexed(marks)
		try := func(h uint64) {
			want, _ := slices.BinarySearchFunc(marks, h, func(m mark, h uint64) int { return cmp.Compare(m.hash, h) })
			if got := r.at(h); got != want%n {
				t.Fatalf("%x belongs to %d of %d, want %d", h, got, n, want%n)
			}
		}
		for i, m := range marks {
			try(m.hash)
			try(m.hash - 1)
			try(m.hash + 1)
			try(xxhash.Sum64String(fmt.Sprint("key", i)))
		}
		try(0)
		try(math.MaxUint64)
	}
}

func TestRingOfNothing(t *testing.T) {
	if r := newRing(nil, 1, 10); len(r.marks) != 0 {
		t.Errorf("%d entries", len(r.marks))
	}
}
