package frame

import "bytes"

// cachedBlocks is how many header blocks a blockCache remembers: the requests
// of a few methods, or the header and trailer blocks of their responses.
const cachedBlocks = 8

// Bounds of what is worth remembering.
const (
	maxCachedWire   = 128
	maxCachedFields = 32
)

// blockCache remembers runs of indexed fields, as bytes and as fields. They
// mean the same until the HPACK table changes; the owner then calls clear.
type blockCache struct {
	blocks []cachedBlock // made on first use: idle connections have none
	used   uint8
	next   uint8 // the place to overwrite once all are used
}

type cachedBlock struct {
	wire   []byte
	fields []Field
	size   int // of the header list, as RFC 9113 6.5.2 counts it
}

func (c *blockCache) clear() { c.used, c.next = 0, 0 }

// byWire finds the block with exactly these bytes.
func (c *blockCache) byWire(p []byte) *cachedBlock {
	for i := range c.blocks[:c.used] {
		if b := &c.blocks[i]; bytes.Equal(b.wire, p) {
			return b
		}
	}
	return nil
}

// byFields finds the bytes for as many leading fields as possible, passing
// over those whose bit is set in skip. It returns the bytes and how many
// fields they stand for.
func (c *blockCache) byFields(fields []Field, skip uint64) (wire []byte, n int) {
	for i := range c.blocks[:c.used] {
		b := &c.blocks[i]
		m, all := b.match(fields, skip)
		if all {
			return b.wire, m
		}
		if m > n {
			wire, n = b.wire[:indexedEnd(b.wire, m)], m
		}
	}
	return wire, n
}

// match counts the leading fields of b that fields begins with; all says that
// this is the whole of both.
func (b *cachedBlock) match(fields []Field, skip uint64) (n int, all bool) {
	for i := range fields {
		if skip&(1<<i) != 0 {
			continue
		}
		if n == len(b.fields) || fields[i] != b.fields[n] {
			return n, false
		}
		n++
	}
	return n, n == len(b.fields)
}

// add remembers a run of indexed fields. Both slices are copied.
func (c *blockCache) add(wire []byte, fields []Field, size int) {
	if len(wire) == 0 || len(wire) > maxCachedWire || len(fields) > maxCachedFields {
		return
	}
	b := c.place()
	b.wire = append(b.wire[:0], wire...)
	b.fields = append(b.fields[:0], fields...)
	b.size = size
}

// addSkipping is add for the first n fields that skip leaves over.
func (c *blockCache) addSkipping(wire []byte, fields []Field, skip uint64, n int) {
	if len(wire) == 0 || len(wire) > maxCachedWire || n > maxCachedFields {
		return
	}
	b := c.place()
	b.wire = append(b.wire[:0], wire...)
	b.fields = b.fields[:0]
	for i := 0; len(b.fields) < n; i++ {
		if skip&(1<<i) == 0 {
			b.fields = append(b.fields, fields[i])
		}
	}
}

func (c *blockCache) place() *cachedBlock {
	if c.used < cachedBlocks {
		if int(c.used) == len(c.blocks) {
			c.blocks = append(c.blocks, cachedBlock{})
		}
		c.used++
		return &c.blocks[c.used-1]
	}
	b := &c.blocks[c.next]
	c.next = (c.next + 1) % cachedBlocks
	return b
}

// indexedEnd returns the index after the first n indexed fields of wire.
func indexedEnd(wire []byte, n int) int {
	i := 0
	for range n {
		i = skipInt(wire, i, bitsIndexed)
	}
	return i
}

// indexedCount counts the indexed fields of a run of them.
func indexedCount(wire []byte) (n int) {
	for i := 0; i < len(wire); n++ {
		i = skipInt(wire, i, bitsIndexed)
	}
	return n
}
