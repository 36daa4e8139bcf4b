package codec

import (
	"encoding/binary"
	"math"
)

// PrefixLen is how many octets stand in front of every message.
const PrefixLen = 5

// maxLength is the longest message a prefix can announce, and on small
// machines the longest a slice can hold.
const maxLength = min(math.MaxUint32, math.MaxInt-PrefixLen)

// putPrefix writes the prefix of the message that fills the rest of b.
func putPrefix(b []byte, compressed bool) {
	b[0] = 0
	if compressed {
		b[0] = 1
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-PrefixLen))
}

func checkLength(n int) error {
	if n > maxLength {
		return &oversize{what: "message", size: n, limit: maxLength}
	}
	return nil
}
