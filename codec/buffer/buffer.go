// Package buffer holds the byte buffers that messages travel in.
//
// A buffer has one owner at a time, and ownership moves with the message that
// carries it: whoever takes the message out of its mailbox either passes the
// buffer on or releases it. Two owners (a call that may have to send its
// request again, and the loopy writer that is sending it now) hold a reference
// each.
package buffer

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Buffers come in classes: powers of two from 64 B, and from 64 KiB on four
// steps to each doubling, so that a message of a little more than 1 MiB does not
// take two. Beyond 4 MiB they are allocated for the occasion and left to the
// garbage collector: a pool of them would pin more memory than it saves.
const (
	minClassBits  = 6
	largeBits     = 16
	maxClassBits  = 22
	firstLarge    = largeBits - minClassBits // the class of 64 KiB
	stepsPerTwo   = 4
	classes       = firstLarge + stepsPerTwo*(maxClassBits-largeBits) + 1
	unpooled      = -1
	largestPooled = 1 << maxClassBits
)

var pools [firstLarge]sync.Pool

// Buffer is a pooled run of bytes. The owner may reslice B within its
// capacity.
type Buffer struct {
	B     []byte
	full  []byte // what B was cut from; restored when the buffer is taken again
	refs  atomic.Int32
	class int8
}

// Get returns a buffer with len(B) == n and one reference. Its bytes are not
// cleared.
func Get(n int) *Buffer {
	c := classOf(n)
	if c == unpooled {
		b := &Buffer{full: make([]byte, n), class: unpooled}
		b.B = b.full
		b.refs.Store(1)
		return b
	}
	b := take(c)
	if b == nil {
		b = &Buffer{full: make([]byte, sizeOf(c)), class: int8(c)}
	}
	b.B = b.full[:n]
	b.refs.Store(1)
	return b
}

// Wrap makes a buffer of bytes that come from elsewhere. They are never
// pooled.
func Wrap(p []byte) *Buffer {
	b := &Buffer{B: p, full: p, class: unpooled}
	b.refs.Store(1)
	return b
}

// Retain adds a reference and returns b.
func (b *Buffer) Retain() *Buffer {
	b.refs.Add(1)
	return b
}

// Release drops a reference. The last one returns the bytes to their pool;
// releasing once more is a bug of ours and panics, because the bytes may
// already belong to somebody else.
func (b *Buffer) Release() {
	n := b.refs.Add(-1)
	switch {
	case n > 0:
		return
	case n < 0:
		panic("buffer: released more often than retained")
	}
	if b.class == unpooled {
		b.B, b.full = nil, nil
		return
	}
	b.B = nil
	if b.class >= firstLarge {
		shelves[b.class].put(b)
		return
	}
	pools[b.class].Put(b)
}

// Cap says how many bytes the buffer really occupies, for budgets.
func (b *Buffer) Cap() int { return len(b.full) }

func take(c int) *Buffer {
	if c >= firstLarge {
		return shelves[c].take()
	}
	b, _ := pools[c].Get().(*Buffer)
	return b
}

func classOf(n int) int {
	switch {
	case n <= 1<<minClassBits:
		return 0
	case n > largestPooled:
		return unpooled
	}
	up := bits.Len(uint(n - 1)) // n <= 1<<up
	if up <= largeBits {
		return up - minClassBits
	}
	// 1<<(up-1) < n: count in quarters of it.
	quarter := up - 3
	step := (n - 1) >> quarter // 4..7: in which quarter above 1<<(up-1) the last octet lies
	return firstLarge + stepsPerTwo*(up-1-largeBits) + step - stepsPerTwo + 1
}

// sizeOf is how many octets buffers of a class hold.
func sizeOf(c int) int {
	if c <= firstLarge {
		return 1 << (c + minClassBits)
	}
	k := c - firstLarge
	base := 1 << (largeBits + k/stepsPerTwo)
	return base + k%stepsPerTwo*base/stepsPerTwo
}
