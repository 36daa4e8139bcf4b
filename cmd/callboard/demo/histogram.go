package demo

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets per power of two: a value is known to within 1/16.
const (
	fineBits = 4
	fine     = 1 << fineBits
	buckets  = 64 * fine
)

// histogram counts latencies. Adding takes no lock.
type histogram struct{ n [buckets]atomic.Int64 }

func (h *histogram) add(d time.Duration) { h.n[bucket(d)].Add(1) }

// bucket is linear within each power of two.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < fine {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - fineBits
	return (shift+1)<<fineBits | int(v>>shift)&(fine-1)
}

// lowest is the smallest value of bucket i.
func lowest(i int) time.Duration {
	if i < fine {
		return time.Duration(i)
	}
	shift := i>>fineBits - 1
	return time.Duration((fine + i&(fine-1)) << shift)
}

// counts is a histogram at one moment.
type counts [buckets]int64

func (h *histogram) counts() *counts {
	c := new(counts)
	for i := range h.n {
		c[i] = h.n[i].Load()
	}
	return c
}

// since is what came after old.
func (c *counts) since(old *counts) *counts {
	d := new(counts)
	for i := range c {
		d[i] = c[i] - old[i]
	}
	return d
}

// quantile is the value below which a share q of the latencies lies; 0 when
// there are none.
func (c *counts) quantile(q float64) time.Duration {
	var total int64
	for _, n := range c {
		total += n
	}
	rank := int64(q * float64(total))
	for i, n := range c {
		if rank -= n; rank < 0 {
			return lowest(i)
		}
	}
	return 0
}
