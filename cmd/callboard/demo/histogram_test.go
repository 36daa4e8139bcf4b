package demo

import (
	"testing"
	"time"
)

func TestHistogramKnowsQuantilesToASixteenth(t *testing.T) {
	var h histogram
	for us := 1; us <= 1000; us++ {
		h.add(time.Duration(us) * time.Microsecond)
	}
	c := h.counts()
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{
		{q: 0, want: time.Microsecond},
		{q: 0.5, want: 500 * time.Microsecond},
		{q: 0.99, want: 990 * time.Microsecond},
	} {
		got := c.quantile(tt.q)
		if got > tt.want+tt.want/fine || got < tt.want-tt.want/8 {
			t.Errorf("quantile(%v) = %v, want about %v", tt.q, got, tt.want)
		}
	}
}

func TestHistogramBucketsAreInOrder(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < time.Hour; d = d*5/4 + 1 {
		i := bucket(d)
		if i < last {
			t.Fatalf("bucket(%v) = %d, below that of a shorter time, %d", d, i, last)
		}
		if lo, next := lowest(i), lowest(i+1); d < lo || d >= next {
			t.Fatalf("%v is in bucket %d, which holds [%v, %v)", d, i, lo, next)
		}
		last = i
	}
}

func TestCountsSinceAreTheDifference(t *testing.T) {
	var h histogram
	h.add(time.Second)
	before := h.counts()
	h.add(time.Millisecond)
	if got := h.counts().since(before).quantile(0.99); got > time.Millisecond {
		t.Errorf("quantile of what came later = %v, want 1ms", got)
	}
	if got := before.since(before).quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
}
