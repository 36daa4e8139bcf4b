package frame

import (
	"golang.org/x/net/http2/hpack"
)

// Encoder turns header blocks into HEADERS and CONTINUATION frames. It owns
// the connection's HPACK encoder, so blocks must reach the wire in the order
// they were encoded, all of them (RFC 9113 4.3).
//
// Three things make it cheap. Fields go through hpack only when they are new:
// a run of fields that were all in the table is remembered as bytes for as
// long as the table does not change. Fields whose values differ from call to
// call never enter the table, so it stays as it is. And those come last in the
// block, whatever their place in the list, so that everything before them is
// one run; the order of fields with different names carries no meaning (RFC
// 9110 5.3).
type Encoder struct {
	hp      *hpack.Encoder
	out     sink // where hp writes: the block being appended
	table   uint32
	resized bool   // a table size update must open the next block
	growTo  uint32 // the table size to announce with the block after that, if larger
	blocks  blockCache
	names   nameRefs
	spare   []byte // a block while it is cut into CONTINUATIONs
}

// maskBits is the longest list of which fields can be put off.
const maskBits = 64

// NewEncoder makes an Encoder with the table size a peer grants by default.
func NewEncoder() *Encoder {
	e := &Encoder{table: DefaultTableSize, growTo: DefaultTableSize}
	e.hp = hpack.NewEncoder(&e.out)
	return e
}

// SetMaxTableSize follows the peer's SETTINGS_HEADER_TABLE_SIZE. A table
// larger than DefaultTableSize is never used: it would cost memory per
// connection and save nothing on gRPC's few fields.
func (e *Encoder) SetMaxTableSize(n uint32) {
	n = min(n, DefaultTableSize)
	e.growTo = n
	if e.resized && n > e.table {
		// It takes two updates to shrink and grow between two blocks, and
		// x/net's decoder, which grpc-go reads with, refuses the second (RFC
		// 7541 4.2). So growing waits for a block of its own.
		return
	}
	e.resizeTable(n)
}

func (e *Encoder) resizeTable(n uint32) {
	if n == e.table {
		return
	}
	e.table = n
	e.resized = true
	e.hp.SetMaxDynamicTableSize(n)
}

// AppendHeaders appends a header block: HEADERS, and CONTINUATIONs if it is
// longer than maxFrame, the peer's MAX_FRAME_SIZE (RFC 9113 6.2, 6.10).
func (e *Encoder) AppendHeaders(dst []byte, id StreamID, fields []Field, endStream bool, maxFrame uint32) []byte {
	var flags byte
	if endStream {
		flags = flagEndStream
	}
	start := len(dst)
	dst = appendFrameHeader(dst, 0, typeHeaders, 0, 0)
	dst = e.appendBlock(dst, fields)
	n := len(dst) - start - HeaderLen
	if n > int(maxFrame) {
		return e.cut(dst, start, id, flags, int(maxFrame))
	}
	putFrameHeader(dst[start:], n, typeHeaders, flags|flagEndHeaders, id)
	return dst
}

// cut replaces the block behind the frame header at start by frames of at most
// limit octets.
func (e *Encoder) cut(dst []byte, start int, id StreamID, flags byte, limit int) []byte {
	e.spare = append(e.spare[:0], dst[start+HeaderLen:]...)
	dst = dst[:start]
	typ := byte(typeHeaders)
	for rest := e.spare; ; {
		n := min(len(rest), limit)
		if n == len(rest) {
			flags |= flagEndHeaders
		}
		dst = appendFrameHeader(dst, n, typ, flags, id)
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
		typ, flags = typeContinuation, 0
	}
	if cap(e.spare) > maxSpare {
		e.spare = nil
	}
	return dst
}

// maxSpare bounds the scratch space an idle Encoder keeps.
const maxSpare = 64 << 10

// appendBlock appends the encoded fields.
func (e *Encoder) appendBlock(dst []byte, fields []Field) []byte {
	e.out.b = dst
	if e.resized {
		e.appendResized(fields)
		return e.out.take()
	}
	late := lateFields(fields)
	e.appendSteady(fields, late)
	if late != 0 {
		for i := range fields {
			if late&(1<<i) != 0 {
				e.appendLate(&fields[i])
			}
		}
	}
	return e.out.take()
}

// appendResized appends a block that begins with a table size update, which
// hpack writes before the first field it gets.
func (e *Encoder) appendResized(fields []Field) {
	if len(fields) == 0 {
		return
	}
	e.forget()
	for i := range fields {
		e.write(fields[i])
	}
	e.resized = false
	e.resizeTable(e.growTo)
}

// appendSteady appends the fields that late leaves over.
func (e *Encoder) appendSteady(fields []Field, late uint64) {
	start := len(e.out.b)
	wire, known := e.blocks.byFields(fields, late)
	e.out.b = append(e.out.b, wire...)
	n := 0
	for i := range fields {
		if late&(1<<i) != 0 {
			continue
		}
		if n++; n > known {
			e.write(fields[i])
		}
	}
	if n == known {
		return
	}
	shape := shapeOf(e.out.b[start:])
	switch run := e.out.b[start : start+shape.indexed]; {
	case !shape.fixed:
		e.forget()
	case len(run) > len(wire):
		e.blocks.addSkipping(run, fields, late, indexedCount(run))
	}
}

// write lets hpack encode one field.
func (e *Encoder) write(f Field) {
	_ = e.hp.WriteField(f) // the sink never fails
}

// forget drops what was remembered under the table as it was.
func (e *Encoder) forget() {
	e.blocks.clear()
	e.names.clear()
}

// sink collects what hpack writes.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *sink) take() []byte {
	b := s.b
	s.b = nil
	return b
}
