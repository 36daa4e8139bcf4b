package frame

// Octets that begin a field representation (RFC 7541 section 6).
const (
	reprIndexed      = 0x80 // 1xxxxxxx: a field of the table
	reprIncremental  = 0x40 // 01xxxxxx: a literal that enters the table
	reprTableSize    = 0x20 // 001xxxxx: a new table size
	reprNeverIndexed = 0x10 // 0001xxxx: a literal that must never enter a table
	// 0000xxxx: a literal that does not enter the table
)

// Prefix widths of the integers that follow those bits.
const (
	bitsIndexed     = 7
	bitsIncremental = 6
	bitsTableSize   = 5
	bitsLiteral     = 4
	bitsString      = 7
)

// blockShape is what a header block does to the HPACK table, found without
// decoding it. Blocks that leave the table alone mean the same as long as
// nothing else changes it, which is what both block caches live on.
type blockShape struct {
	indexed int  // octets of the run of indexed fields the block begins with
	fixed   bool // well formed, and the table stays as it is
	resized bool // the table's size changes behind a field, where it must not (RFC 7541 4.2)
}

// shapeOf walks over the representations of a block.
func shapeOf(p []byte) (s blockShape) {
	i := 0
	for i < len(p) && p[i] >= reprIndexed {
		if i = skipInt(p, i, bitsIndexed); i < 0 {
			return s
		}
	}
	s.indexed = i
	fixed, fields := true, i > 0
	for i < len(p) {
		switch c := p[i]; {
		case c >= reprIndexed:
			i = skipInt(p, i, bitsIndexed)
		case c >= reprIncremental:
			i = skipLiteral(p, i, bitsIncremental)
			fixed = false
		case c >= reprTableSize:
			i = skipInt(p, i, bitsTableSize)
			fixed = false
			s.resized = s.resized || fields
			if i < 0 {
				return s
			}
			continue
		default:
			i = skipLiteral(p, i, bitsLiteral)
		}
		fields = true
		if i < 0 {
			return s
		}
	}
	s.fixed = fixed
	return s
}

// skipLiteral returns the index after the literal at i, or -1.
func skipLiteral(p []byte, i int, bits uint) int {
	named := p[i]&(1<<bits-1) != 0
	if i = skipInt(p, i, bits); i >= 0 && !named {
		i = skipString(p, i)
	}
	if i >= 0 {
		i = skipString(p, i)
	}
	return i
}

// skipString returns the index after the string at i, or -1.
func skipString(p []byte, i int) int {
	n, i := readInt(p, i, bitsString)
	if i < 0 || n > len(p)-i {
		return -1
	}
	return i + n
}

// skipInt returns the index after the integer at i, or -1.
func skipInt(p []byte, i int, bits uint) int {
	if i < len(p) && int(p[i])&(1<<bits-1) != 1<<bits-1 {
		return i + 1
	}
	_, i = readInt(p, i, bits)
	return i
}

// readInt reads a prefixed integer (RFC 7541 5.1). The index returned is -1 if
// it is cut off or longer than any length within a header block can be.
func readInt(p []byte, i int, bits uint) (n, next int) {
	if i >= len(p) {
		return 0, -1
	}
	limit := 1<<bits - 1
	n = int(p[i]) & limit
	i++
	if n < limit {
		return n, i
	}
	for shift := 0; shift < 28 && i < len(p); shift += 7 {
		c := p[i]
		i++
		n += int(c&0x7f) << shift
		if c < 0x80 {
			return n, i
		}
	}
	return 0, -1
}
