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

// Buffers come in power-of-two classes from 64 B to 4 MiB. Larger ones are
// allocated for the occasion and left to the garbage collector: a pool of
// them would pin more memory than it saves.
const (
	minClassBits = 6
	maxClassBits = 22
	classes      = maxClassBits - minClassBits + 1
	unpooled     = -1
)

var pools [classes]sync.Pool

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
	b, _ := pools[c].Get().(*Buffer)
	if b == nil {
		b = &Buffer{full: make([]byte, 1<<(c+minClassBits)), class: int8(c)}
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
	pools[b.class].Put(b)
}

// Cap says how many bytes the buffer really occupies, for budgets.
func (b *Buffer) Cap() int { return len(b.full) }

func classOf(n int) int {
	if n <= 1<<minClassBits {
		return 0
	}
	c := bits.Len(uint(n-1)) - minClassBits
	if c >= classes {
		return unpooled
	}
	return c
}
