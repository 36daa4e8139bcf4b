package frame

import (
	"fmt"
	"testing"
)

// loop is a Source that delivers the same octets over and over.
type loop struct {
	p   []byte
	off int
}

func (l *loop) WaitReadable() error { return nil }

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.p[l.off:])
	if l.off += n; l.off == len(l.p) {
		l.off = 0
	}
	return n, nil
}

// steady makes wire bytes that can be repeated: the first run of blocks fills
// the table, the later ones refer to it.
func steady(frames func(e *Encoder, dst []byte, i int) []byte) (first, again []byte) {
	e := NewEncoder()
	first = frames(e, first, 0)
	for i := range 3 {
		first = frames(e, first, i+1)
	}
	return first, frames(e, nil, 4)
}

// unaryRequest is what a server reads of one RPC.
func unaryRequest(timeout string) func(e *Encoder, dst []byte, i int) []byte {
	return func(e *Encoder, dst []byte, i int) []byte {
		if timeout != "" {
			timeout = fmt.Sprintf("%du", 9999000+i)
		}
		dst = e.AppendHeaders(dst, 1, requestFields(timeout), false, MinMaxFrameSize)
		dst = AppendDataHeader(dst, 1, 17, true)
		return append(dst, message(0, make([]byte, 12))...)
	}
}

// unaryResponse is what a client reads of one RPC.
func unaryResponse(e *Encoder, dst []byte, _ int) []byte {
	dst = e.AppendHeaders(dst, 1, responseFields(), false, MinMaxFrameSize)
	dst = AppendDataHeader(dst, 1, 17, false)
	dst = append(dst, message(0, make([]byte, 12))...)
	return e.AppendHeaders(dst, 1, trailerFields(), true, MinMaxFrameSize)
}

// warm makes a Reader that has read first and goes on with again for ever.
func warm(tb testing.TB, first, again []byte) *Reader {
	src := &loop{p: first}
	r := NewReader(src, ReaderConfig{})
	b := NewBatch()
	for read := false; !read; read = src.off == 0 && r.in.buffered() == 0 {
		readOnce(tb, r, b)
	}
	src.p = again
	return r
}

func readOnce(tb testing.TB, r *Reader, b *Batch) {
	if err := r.ReadBatch(b); err != nil {
		tb.Fatal(err)
	}
	b.Discard()
}

func TestReadingAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("allocations mean nothing under the race detector")
	}
	long := join(begin(1), raw(typeData, flagEndStream, 1, message(0, make([]byte, 10000))...))
	tests := []struct {
		name   string
		frames func(e *Encoder, dst []byte, i int) []byte
		want   float64
	}{
		{"unary request", unaryRequest(""), 0},
		{"unary request with a deadline", unaryRequest("1S"), 1}, // the deadline's own string
		{"unary response", unaryResponse, 0},
		{"window updates and resets", func(_ *Encoder, dst []byte, _ int) []byte {
			return AppendRSTStream(AppendWindowUpdate(dst, 0, 100), 5, Cancel)
		}, 0},
		{"message of 10 kB", func(_ *Encoder, dst []byte, _ int) []byte { return append(dst, long...) }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, again := steady(tt.frames)
			r := warm(t, first, again)
			b := NewBatch()
			if got := testing.AllocsPerRun(500, func() { readOnce(t, r, b) }); got > tt.want {
				t.Errorf("%v allocations, want %v", got, tt.want)
			}
		})
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("allocations mean nothing under the race detector")
	}
	e := NewEncoder()
	req, res, end := requestFields("1234567u"), responseFields(), trailerFields()
	var dst []byte
	run := func() {
		dst = e.AppendHeaders(dst[:0], 1, req, false, MinMaxFrameSize)
		dst = e.AppendHeaders(dst, 1, res, false, MinMaxFrameSize)
		dst = AppendDataHeader(dst, 1, 10, false)
		dst = e.AppendHeaders(dst, 1, end, true, MinMaxFrameSize)
		dst = AppendWindowUpdate(dst, 1, 10)
	}
	for range 5 {
		run()
	}
	if got := testing.AllocsPerRun(500, run); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkReader(b *testing.B) {
	for _, bb := range []struct {
		name   string
		frames func(e *Encoder, dst []byte, i int) []byte
	}{
		{"UnaryRequest", unaryRequest("")},
		{"UnaryRequestDeadline", unaryRequest("1S")},
		{"UnaryResponse", unaryResponse},
	} {
		b.Run(bb.name, func(b *testing.B) {
			first, again := steady(bb.frames)
			r := warm(b, first, again)
			batch := NewBatch()
			b.ReportAllocs()
			for b.Loop() {
				readOnce(b, r, batch)
			}
		})
	}
	b.Run("Batch64Requests", func(b *testing.B) {
		first, again := steady(unaryRequest(""))
		r := warm(b, first, repeat(32, again))
		batch := NewBatch()
		b.ReportAllocs()
		for i := 0; i < b.N; i += 32 {
			readOnce(b, r, batch)
		}
	})
	b.Run("Message1MB", func(b *testing.B) {
		wire := begin(1)
		for rest := message(0, make([]byte, 1<<20)); len(rest) > 0; {
			n := min(len(rest), MinMaxFrameSize)
			wire = AppendDataHeader(wire, 1, n, n == len(rest))
			wire = append(wire, rest[:n]...)
			rest = rest[n:]
		}
		src := &loop{p: wire}
		r := NewReader(src, ReaderConfig{})
		batch := NewBatch()
		b.SetBytes(1 << 20)
		b.ReportAllocs()
		for b.Loop() {
			for {
				readOnce(b, r, batch)
				if src.off == 0 && r.in.buffered() == 0 {
					break
				}
			}
		}
	})
}

func BenchmarkEncoder(b *testing.B) {
	for _, bb := range []struct {
		name   string
		fields []Field
	}{
		{"Request", requestFields("")},
		{"RequestDeadline", requestFields("9999876u")},
		{"Response", responseFields()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			e := NewEncoder()
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = e.AppendHeaders(dst[:0], 1, bb.fields, false, MinMaxFrameSize)
			}
		})
	}
}
