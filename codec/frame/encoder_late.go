package frame

import "golang.org/x/net/http2/hpack"

// variesPerCall names the fields that hardly ever have the same value twice.
// Entering the table they would push out what repeats, and every block would
// shift the indexes of the next.
func variesPerCall(name string) bool {
	switch name {
	case "grpc-timeout", "grpc-message", "grpc-status-details-bin",
		"grpc-trace-bin", "grpc-tags-bin", "grpc-retry-pushback-ms",
		"traceparent", "tracestate", "x-request-id", "content-length",
		"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-cloud-trace-context":
		return true
	}
	return false
}

// lateFields marks the fields that are written as literals behind the others.
// All fields of a name are late or none is: their order does carry meaning. In
// a list too long for the mask none is.
func lateFields(fields []Field) (mask uint64) {
	if len(fields) > maskBits {
		return 0
	}
	for i := range fields {
		if variesPerCall(fields[i].Name) {
			mask |= 1 << i
		}
	}
	return mask
}

// seedShare is the part of the table that a varying field may take once, to
// have its name there.
const seedShare = 16

// appendLate writes f as a literal without indexing (RFC 7541 6.2.2), its name
// by reference when it is in the table. A field whose name is not there yet
// enters the table once, for the name.
func (e *Encoder) appendLate(f *Field) {
	if f.Sensitive {
		e.write(*f)
		return
	}
	if ref := e.names.find(f.Name); ref != nil {
		e.out.b = append(e.out.b, ref...)
		e.out.b = appendString(e.out.b, f.Value)
		return
	}
	start := len(e.out.b)
	// hpack has no way to ask for this representation, but the never-indexed
	// one differs in one bit only (RFC 7541 6.2.3).
	e.write(Field{Name: f.Name, Value: f.Value, Sensitive: true})
	e.out.b[start] &^= reprNeverIndexed
	if e.out.b[start] != 0 { // the name is a reference
		e.names.add(f.Name, e.out.b[start:skipInt(e.out.b, start, bitsLiteral)])
		return
	}
	if f.Size() <= e.table/seedShare {
		e.out.b = e.out.b[:start]
		e.write(*f)
		e.forget()
	}
}

// nameRefs remembers how names in the table are referred to.
type nameRefs struct {
	refs []nameRef // made on first use, at most maxNameRefs
}

const maxNameRefs = 8

type nameRef struct {
	name string
	n    uint8
	wire [3]byte
}

func (r *nameRefs) clear() { r.refs = r.refs[:0] }

func (r *nameRefs) find(name string) []byte {
	for i := range r.refs {
		if ref := &r.refs[i]; ref.name == name {
			return ref.wire[:ref.n]
		}
	}
	return nil
}

func (r *nameRefs) add(name string, wire []byte) {
	ref := nameRef{name: name}
	if len(r.refs) == maxNameRefs || len(wire) > len(ref.wire) {
		return
	}
	ref.n = uint8(copy(ref.wire[:], wire))
	r.refs = append(r.refs, ref)
}

// plainString is the length up to which a string is not worth compressing:
// a few octets saved cost both sides more than they carry.
const plainString = 24

// appendString appends a string literal (RFC 7541 5.2).
func appendString(dst []byte, s string) []byte {
	if len(s) > plainString {
		if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
			at := len(dst)
			dst = appendInt(dst, bitsString, int(n))
			dst[at] |= 0x80
			return hpack.AppendHuffmanString(dst, s)
		}
	}
	dst = appendInt(dst, bitsString, len(s))
	return append(dst, s...)
}

// appendInt appends a prefixed integer (RFC 7541 5.1).
func appendInt(dst []byte, bits uint, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(dst, byte(n))
	}
	dst = append(dst, byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}
