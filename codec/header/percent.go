package header

import "strings"

const hexDigits = "0123456789ABCDEF"

// EncodeMessage writes a status message as a grpc-message: UTF-8, then
// percent-encoding of everything but printable ASCII, and of '%'. Spaces at
// the ends are encoded too, because HTTP/2 forbids them in a field value.
// Octets that are not UTF-8 become U+FFFD.
func EncodeMessage(s string) string {
	if isPlain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		c := s[i]
		if plainOctet(c) && (c != ' ' || i != 0 && i != len(s)-1) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&0xf])
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if !plainOctet(s[i]) {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

func plainOctet(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }

// DecodeMessage reads a grpc-message. It never fails: a broken escape stays as
// it is, and octets that are not UTF-8 become U+FFFD.
func DecodeMessage(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				c = hi<<4 | lo
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
