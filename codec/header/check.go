package header

import (
	"encoding/binary"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// nameOctets marks what a field name may consist of: the tokens of RFC 9110
// 5.6.2 without upper case (RFC 9113 8.2.1).
var nameOctets = func() (t [256]bool) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c] = true
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] = true
	}
	return t
}()

func validName(s string) bool {
	for i := range len(s) {
		if !nameOctets[s[i]] {
			return false
		}
	}
	return s != ""
}

// validValue reports whether s may be a field value: no control octets except
// tab (RFC 9113 8.2.1, RFC 9110 5.5). White space at its ends is let through,
// although RFC 9113 forbids it: gRPC allows it, and implementations put status
// messages that begin with a space on the wire as they are.
func validValue(s string) bool {
	const (
		each = 0x0101010101010101
		high = each << 7
	)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := load64(s, i)
		// An octet below 0x20 borrows in the first term; 0x7f becomes zero in
		// the exclusive or and borrows in the second. A borrow may mark a
		// neighbour too, so a hit is only a reason to look closer.
		low := (w - each*0x20) &^ w
		del := w ^ each*0x7f
		if (low|(del-each)&^del)&high != 0 {
			for j := i; j < i+8; j++ {
				if !valueOctet(s[j]) {
					return false
				}
			}
		}
	}
	for ; i < len(s); i++ {
		if !valueOctet(s[i]) {
			return false
		}
	}
	return true
}

func load64(s string, i int) uint64 {
	var b [8]byte
	copy(b[:], s[i:i+8])
	return binary.LittleEndian.Uint64(b[:])
}

func valueOctet(c byte) bool { return c >= 0x20 && c != 0x7f || c == '\t' }

// checkField holds a regular field (not a pseudo-field) against RFC 9113 8.2.
func checkField(f *frame.Field) *Problem {
	if !validName(f.Name) {
		return malformed("RFC 9113 8.2.1", "field name "+Escape(f.Name)+" is not valid")
	}
	if !validValue(f.Value) {
		return badValue(f.Name)
	}
	if isConnectionSpecific(f.Name) {
		return malformed("RFC 9113 8.2.2", "field "+f.Name+" is specific to a connection")
	}
	return nil
}

func badValue(name string) *Problem {
	return malformed("RFC 9113 8.2.1", "value of "+Escape(name)+" has a control character")
}

func badPseudo(name, what string) *Problem {
	return malformed("RFC 9113 8.3", "pseudo-field "+Escape(name)+" "+what)
}

// CheckTrailer holds a trailing block against RFC 9113 8.1 and 8.2: no
// pseudo-fields, and well-formed fields. A request's trailers mean nothing to
// gRPC, so this is all a server does with them.
func CheckTrailer(fields []frame.Field) error {
	for i := range fields {
		f := &fields[i]
		if f.Name != "" && f.Name[0] == ':' {
			return malformed("RFC 9113 8.1", "pseudo-field "+Escape(f.Name)+" in trailers")
		}
		if p := checkField(f); p != nil {
			return p
		}
	}
	return nil
}
