package conn

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// inline answers on a goroutine that stays, as a pool of workers does.
type inline struct{ calls chan *stream.Call }

func newInline() *inline {
	h := &inline{calls: make(chan *stream.Call, 1024)}
	go h.run()
	return h
}

func (h *inline) Serve(c *stream.Call) { h.calls <- c }

func (h *inline) run() {
	for c := range h.calls {
		m, err := c.Recv(nil)
		if err != nil {
			c.Finish(&streamfsm.Finish{Trailer: &header.Trailer{Code: codes.Internal}})
			continue
		}
		out := buffer.Get(5 + len(m.Buf.B))
		copy(out.B, []byte{0, 0, 0, 0, byte(len(m.Buf.B))})
		copy(out.B[5:], m.Buf.B)
		m.Buf.Release()
		c.Finish(&streamfsm.Finish{Payload: out, Trailer: &header.Trailer{}})
	}
}

func benchRig(b *testing.B) *rig {
	h := newInline()
	r := newRig(b, func(o *options) { o.serve = h })
	b.Cleanup(func() {
		r.finish()
		close(h.calls)
	})
	return r
}

func (r *rig) once() {
	c := call("/a.B/Unary")
	c.Unary, c.First, c.FirstEnds = true, wire("0123456789"), true
	r.client.Open(c)
	if err := c.Wait(nil); err != nil || c.Status() != nil {
		r.Fatal(err, c.Status())
	}
	m, _ := c.TakeMessages()
	m.Buf.Release()
	c.Release()
}

// Both sides together, over an in-memory pipe, without codecs.
func BenchmarkUnary(b *testing.B) {
	r := benchRig(b)
	b.ReportAllocs()
	for b.Loop() {
		r.once()
	}
}

func BenchmarkUnaryParallel(b *testing.B) {
	r := benchRig(b)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.once()
		}
	})
}

func BenchmarkPingPong(b *testing.B) {
	r := newRig(b, withEcho)
	b.Cleanup(r.finish)
	c := r.stream("/a.B/Stream")
	if err := c.WaitOpened(nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Send(wire("0123456789"), false, nil); err != nil {
			b.Fatal(err)
		}
		m, err := c.Recv(nil)
		if err != nil {
			b.Fatal(err)
		}
		m.Buf.Release()
	}
	c.CloseSend()
	if _, err := all(c, nil); err != nil {
		b.Fatal(err)
	}
	c.Release()
}
