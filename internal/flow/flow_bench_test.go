package flow

import (
	"testing"
	"time"
)

func BenchmarkQuota(b *testing.B) {
	q := NewQuota(1<<16, nil)
	b.ReportAllocs()
	for b.Loop() {
		q.Wait(nil)
		q.Enqueued(100)
		q.Written(100)
	}
}

func BenchmarkReceive(b *testing.B) {
	r := NewReceive(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Charge(100)
		r.Consume(100)
	}
}

func BenchmarkBudget(b *testing.B) {
	c := NewBudget(1<<20, NewBudget(1<<30, nil))
	b.ReportAllocs()
	for b.Loop() {
		c.Charge(100)
		c.Refund(100)
	}
}

func BenchmarkBucket(b *testing.B) {
	k := NewBucket(1000, 100)
	now := time.Unix(0, 0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		k.Take(now, 1)
	}
}
