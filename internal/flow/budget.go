package flow

import (
	"fmt"
	"sync/atomic"
)

// Budget bounds bytes held in memory on behalf of peers. Budgets form a chain,
// connection to process: what a connection holds counts for the process too,
// and either may refuse. It is safe for concurrent use.
type Budget struct {
	used   atomic.Int64
	peak   atomic.Int64
	limit  int64
	parent *Budget
}

// NewBudget makes a budget of limit bytes within parent, which may be nil.
func NewBudget(limit int64, parent *Budget) *Budget {
	return &Budget{limit: limit, parent: parent}
}

// Charge takes n bytes from b and its parents, or nothing and returns false
// when one of them has less than that left.
func (b *Budget) Charge(n int) bool {
	if n < 0 {
		panic(fmt.Sprintf("flow: budget charged with %d", n))
	}
	for c := b; c != nil; c = c.parent {
		used := c.used.Add(int64(n))
		if used <= c.limit {
			c.mark(used)
			continue
		}
		// Somebody may have seen the charge that is taken back here and been
		// refused too: refusing needlessly at the limit is the safe side.
		c.used.Add(int64(-n))
		for d := b; d != c; d = d.parent {
			d.used.Add(int64(-n))
		}
		return false
	}
	return true
}

// Force takes n bytes whatever the limits say: for what has to fit, like one
// message below the receive limit on a connection that holds nothing else.
func (b *Budget) Force(n int) {
	if n < 0 {
		panic(fmt.Sprintf("flow: budget charged with %d", n))
	}
	for c := b; c != nil; c = c.parent {
		c.mark(c.used.Add(int64(n)))
	}
}

// Insist takes n bytes whatever b and its parents say, the last of the chain
// excepted: for one thing of many that has to go on, within what the process
// may hold. It takes nothing and returns false when that one has less left.
func (b *Budget) Insist(n int) bool {
	if n < 0 {
		panic(fmt.Sprintf("flow: budget charged with %d", n))
	}
	last := b
	for last.parent != nil {
		last = last.parent
	}
	used := last.used.Add(int64(n))
	if used > last.limit {
		last.used.Add(int64(-n))
		return false
	}
	last.mark(used)
	for c := b; c != last; c = c.parent {
		c.mark(c.used.Add(int64(n)))
	}
	return true
}

// Refund gives n bytes back to b and its parents. More than was charged
// panics.
func (b *Budget) Refund(n int) {
	if n < 0 {
		panic(fmt.Sprintf("flow: budget refunded by %d", n))
	}
	for c := b; c != nil; c = c.parent {
		if used := c.used.Add(int64(-n)); used < 0 {
			panic(fmt.Sprintf("flow: budget refunded by %d, %d more than charged", n, -used))
		}
	}
}

// Shift counts delta bytes more, or less if it is negative, whatever the limits
// say. It is for bytes that one side adds and the other takes away at the same
// time: in between, less may be counted than is held, even less than nothing.
func (b *Budget) Shift(delta int64) {
	for c := b; c != nil; c = c.parent {
		used := c.used.Add(delta)
		if delta > 0 {
			c.mark(used)
		}
	}
}

// Over is how many bytes more are held than b, or one of its parents, allows;
// shared says that it is a parent.
func (b *Budget) Over() (excess int64, shared bool) {
	excess = max(b.used.Load()-b.limit, 0)
	for c := b.parent; c != nil; c = c.parent {
		if over := c.used.Load() - c.limit; over > 0 {
			excess, shared = max(excess, over), true
		}
	}
	return excess, shared
}

// Scale is n while half of b and of its parents is left, and less the less of
// the other half is: 0 in the end.
func (b *Budget) Scale(n int64) int64 {
	most := n
	for c := b; c != nil; c = c.parent {
		half := c.limit / 2
		if over := c.used.Load() - half; over > 0 {
			left := max(c.limit-half-over, 0)
			n = min(n, int64(float64(most)*float64(left)/float64(c.limit-half)))
		}
	}
	return n
}

// Used is how many bytes are held now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Peak is the most that were ever held.
func (b *Budget) Peak() int64 { return b.peak.Load() }

// Limit is how many bytes may be held.
func (b *Budget) Limit() int64 { return b.limit }

// Left is how many bytes b and its parents would still grant; never negative.
func (b *Budget) Left() int64 {
	left := b.limit - b.used.Load()
	for c := b.parent; c != nil; c = c.parent {
		left = min(left, c.limit-c.used.Load())
	}
	return max(left, 0)
}

// Tight says that less than half of b, or of a parent, is left: not the time
// to hold what is only convenient.
func (b *Budget) Tight() bool {
	for c := b; c != nil; c = c.parent {
		if c.used.Load() > c.limit/2 {
			return true
		}
	}
	return false
}

func (b *Budget) mark(used int64) {
	for {
		peak := b.peak.Load()
		if used <= peak || b.peak.CompareAndSwap(peak, used) {
			return
		}
	}
}
