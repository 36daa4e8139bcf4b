package flow

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucket(t *testing.T) {
	t0 := time.Unix(1_000_000, 0)
	tests := []struct {
		name        string
		burst, rate int
		takes       []int           // tokens
		at          []time.Duration // when
		ok          []bool
		left        int
	}{
		{"lets a burst through at once", 3, 1, []int{1, 1, 1, 1}, []time.Duration{0, 0, 0, 0}, []bool{true, true, true, false}, 0},
		{"takes all or nothing", 3, 1, []int{4, 3}, []time.Duration{0, 0}, []bool{false, true}, 0},
		{"refills at its rate", 1000, 100, []int{1000, 1, 1, 1}, []time.Duration{0, 9 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond}, []bool{true, false, true, false}, 0},
		{"keeps fractions of a token", 10, 3, []int{10, 1}, []time.Duration{0, 334 * time.Millisecond}, []bool{true, true}, 0},
		{"is never more than full", 5, 100, []int{5, 6, 5}, []time.Duration{0, time.Hour, time.Hour}, []bool{true, false, true}, 0},
		{"does not overflow after years", 5, 1e9, []int{5, 5}, []time.Duration{0, 200 * 365 * 24 * time.Hour}, []bool{true, true}, 0},
		{"ignores time that runs backwards", 2, 1, []int{2, 1, 1}, []time.Duration{time.Minute, 0, time.Minute}, []bool{true, false, false}, 0},
		{"never refills at rate 0", 1, 0, []int{1, 1}, []time.Duration{0, time.Hour}, []bool{true, false}, 0},
		{"refuses a negative amount", 1, 1, []int{-1}, []time.Duration{0}, []bool{false}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBucket(tt.burst, tt.rate)
			var last time.Time
			for i, n := range tt.takes {
				last = t0.Add(tt.at[i])
				if ok := b.Take(last, n); ok != tt.ok[i] {
					t.Fatalf("take %d (%d tokens): %v", i, n, ok)
				}
			}
			if left := b.Tokens(last); left != tt.left {
				t.Errorf("%d tokens left, want %d", left, tt.left)
			}
		})
	}
	mustPanic(t, func() { NewBucket(-1, 0) })
	mustPanic(t, func() { NewBucket(1<<40, 0) })
}

// Over any stretch from the start, no more than burst + rate*time goes through.
func TestBucketBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		burst, rate := rapid.IntRange(0, 100).Draw(t, "burst"), rapid.IntRange(0, 1000).Draw(t, "rate")
		b := NewBucket(burst, rate)
		start := time.Unix(0, 0)
		now, taken := start, 0
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "passed")))
			if n := rapid.IntRange(0, 20).Draw(t, "n"); b.Take(now, n) {
				taken += n
			}
			if bound := float64(burst) + float64(rate)*now.Sub(start).Seconds(); float64(taken) > bound+1e-6 {
				t.Fatalf("%d tokens in %v", taken, now.Sub(start))
			}
		}
	})
}
