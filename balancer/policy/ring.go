package policy

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// ring is where hashes meet endpoints: entries in the order of their hashes.
// A hash belongs to the first mark that is not less, or to the first of all.
type ring struct {
	marks []mark
	// index says where a search begins: by the highest bits of the hash, the
	// first mark that is not less. Hashes are even, so that it mostly ends there
	// too, and a thousand endpoints cost what ten do.
	index []int32
	shift uint
}

type mark struct {
	hash     uint64
	endpoint int32 // its index in the list the ring was made of
}

// arc is how much of the ring one endpoint gets.
type arc struct {
	key    string // endpoints keep their places as long as they keep their keys
	weight uint32 // at least 1
}

// newRing places endpoints by the algorithm that gRPC shares with Envoy (gRFC
// A42): the ring has at least least entries, enough that the lightest endpoint
// has a whole number of them, and at most most. Beyond that the lightest may
// have none.
func newRing(arcs []arc, least, most uint32) ring {
	if len(arcs) == 0 {
		return ring{}
	}
	order := make([]int32, len(arcs)) // by key, so that the list's order is nothing
	sum, lightest := 0.0, math.Inf(1)
	for i, a := range arcs {
		order[i] = int32(i)
		sum += float64(a.weight)
		lightest = min(lightest, float64(a.weight))
	}
	slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(arcs[i].key, arcs[j].key) })
	share := lightest / sum
	size := min(math.Ceil(share*float64(least))/share, float64(most))

	marks := make([]mark, 0, int(math.Ceil(size))+1)
	placed, target := 0.0, 0.0
	var name []byte
	for _, i := range order {
		a := arcs[i]
		target += size * float64(a.weight) / sum
		name = append(append(name[:0], a.key...), '_')
		for n := int64(0); placed < target; n++ {
			marks = append(marks, mark{xxhash.Sum64(strconv.AppendInt(name, n, 10)), i})
			placed++
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.hash, b.hash) })
	return indexed(marks)
}

func indexed(marks []mark) ring {
	width := uint(bits.Len(uint(len(marks)))) // 2^width > len(marks)
	r := ring{marks: marks, index: make([]int32, 1<<width), shift: 64 - width}
	i := 0
	for b := range r.index {
		for i < len(marks) && marks[i].hash < uint64(b)<<r.shift {
			i++
		}
		r.index[b] = int32(i)
	}
	return r
}

// at is the index of the mark that hash belongs to. The ring is not empty.
func (r *ring) at(hash uint64) int {
	i := int(r.index[hash>>r.shift])
	for i < len(r.marks) && r.marks[i].hash < hash {
		i++
	}
	if i == len(r.marks) {
		return 0
	}
	return i
}
