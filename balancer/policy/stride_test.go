package policy

import (
	"math"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// turns are n turns of a schedule that begins at place start.
func turns(weights []float64, start uint64, n int) []int {
	s := newStride(weights)
	var sequence atomic.Uint64
	sequence.Store(start)
	count := make([]int, len(weights))
	for range n {
		count[s.next(&sequence)]++
	}
	return count
}

func TestStrideShares(t *testing.T) {
	const n = 10_000
	tests := map[string]struct{ weights, want []float64 }{
		"one":                             {[]float64{7}, []float64{1}},
		"none known":                      {[]float64{0, 0, 0}, []float64{1, 1, 1}},
		"one known is as good as none":    {[]float64{0, 9, 0}, []float64{1, 1, 1}},
		"all the same":                    {[]float64{4, 4, 4}, []float64{1, 1, 1}},
		"by weight":                       {[]float64{1, 2, 3}, []float64{1, 2, 3}},
		"unknown is the mean":             {[]float64{1, 0, 3}, []float64{1, 2, 3}},
		"small numbers":                   {[]float64{1e-9, 3e-9}, []float64{1, 3}},
		"large numbers":                   {[]float64{1e300, 3e300}, []float64{1, 3}},
		"sums beyond all numbers":         {[]float64{math.MaxFloat64, math.MaxFloat64}, []float64{1, 1}},
		"one is not to get (nearly) all":  {[]float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1e6}, nil},
		"many of one weight, one of half": {[]float64{2, 2, 2, 2, 1}, []float64{2, 2, 2, 2, 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, start := range []uint64{0, 1, 12345, math.MaxUint32} {
				got := turns(tc.weights, start, n)
				sum := 0.0
				for _, w := range tc.want {
					sum += w
				}
				for i, w := range tc.want {
					if share := n * w / sum; math.Abs(float64(got[i])-share) > 0.01*n {
						t.Errorf("from %d: index %d has %d turns, want about %.0f", start, i, got[i], share)
					}
				}
				for i, c := range got {
					if c == 0 {
						t.Errorf("from %d: index %d has no turn", start, i)
					}
				}
			}
		})
	}
}

func TestStrideIsSmooth(t *testing.T) {
	// An index of half the weight has a turn between any three of another.
	s := newStride([]float64{2, 1})
	var sequence atomic.Uint64
	run := 0
	for range 1000 {
		if s.next(&sequence) == 0 {
			run++
		} else {
			run = 0
		}
		if run > 3 {
			t.Fatalf("%d turns in a row", run)
		}
	}
}

func TestStrideAnyWeights(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.OneOf(rapid.Just(0.0), rapid.Float64Min(0)), 1, 50).Draw(rt, "weights")
		s := newStride(weights)
		var sequence atomic.Uint64
		sequence.Store(rapid.Uint64Max(math.MaxUint64-1e6).Draw(rt, "start"))
		seen := make([]bool, len(weights))
		// The least weight has a hundredth of the greatest.
		for range 102 * maxRatio * len(weights) {
			before := sequence.Load()
			seen[s.next(&sequence)] = true
			if over := sequence.Load() - before; over > uint64(2*len(weights)) {
				rt.Fatalf("passed over %d of %d", over, len(weights))
			}
		}
		for i, ok := range seen {
			if !ok {
				rt.Fatalf("index %d has no turn", i)
			}
		}
	})
}

func TestStridePassesNotAllAtOnce(t *testing.T) {
	// Were all the lesser ones to pass in the same round, the first would have
	// two turns in a row.
	s := newStride([]float64{5, 4, 4, 4})
	var sequence atomic.Uint64
	last := -1
	for range 1000 {
		i := s.next(&sequence)
		if i == last {
			t.Fatalf("index %d has two turns in a row", i)
		}
		last = i
	}
}
