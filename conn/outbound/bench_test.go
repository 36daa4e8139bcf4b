package outbound

import (
	"testing"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// requestFields is a gRPC request's header block.
type requestFields struct{}

func (requestFields) AppendFields(dst []frame.Field) []frame.Field {
	return append(dst,
		frame.Field{Name: ":method", Value: "POST"}, frame.Field{Name: ":scheme", Value: "http"},
		frame.Field{Name: ":path", Value: "/grpc.testing.BenchmarkService/UnaryCall"},
		frame.Field{Name: ":authority", Value: "127.0.0.1:50051"},
		frame.Field{Name: "content-type", Value: "application/grpc"},
		frame.Field{Name: "user-agent", Value: "callboard-go/0.1"}, frame.Field{Name: "te", Value: "trailers"})
}

type responseFields struct{}

func (responseFields) AppendFields(dst []frame.Field) []frame.Field {
	return append(dst, frame.Field{Name: ":status", Value: "200"}, frame.Field{Name: "content-type", Value: "application/grpc"})
}

type trailerFields struct{}

func (trailerFields) AppendFields(dst []frame.Field) []frame.Field {
	return append(dst, frame.Field{Name: "grpc-status", Value: "0"}, frame.Field{Name: "grpc-message", Value: ""})
}

// load drives a Queue as a connection does.
type load struct {
	q      *Queue
	w      Writes
	id     frame.StreamID
	quotas []*flow.Quota
	octets int
}

func newLoad(client bool, slots int) *load {
	l := &load{q: New(Config{Client: client}, frame.NewEncoder()), id: 1}
	_ = l.q.Step(&PeerSettings{InitialWindow: 1 << 22, HeaderTableSize: frame.DefaultTableSize})
	_ = l.q.Step(grant(0, frame.NoSlot, 1<<30))
	for range slots {
		l.quotas = append(l.quotas, flow.NewQuota(1<<16, nil))
	}
	return l
}

func (l *load) outgoing(slot, n int) *frame.Outgoing {
	o := frame.NewOutgoing()
	o.StreamID, o.Slot, o.Quota = l.id, frame.SlotIndex(slot), l.quotas[slot]
	if n > 0 {
		o.Payload = buffer.Get(n)
	}
	o.Quota.Enqueued(n + 1)
	return o
}

func (l *load) request(slot, n int) {
	o := l.outgoing(slot, n)
	o.Header, o.EndStream = requestFields{}, true
	_ = l.q.Step(o)
	l.id += 2
}

func (l *load) response(slot, n int) {
	o := l.outgoing(slot, n)
	o.Header, o.Trailer, o.Last = responseFields{}, trailerFields{}, true
	_ = l.q.Step(o)
	l.id += 2
}

// write takes what there is, and gives the connection's window back.
func (l *load) write() {
	for l.q.Ready() {
		l.q.Fill(&l.w, 512<<10)
		l.octets += l.w.N
		l.w.Reset()
	}
	if l.q.conn.Value() < 1<<29 {
		_ = l.q.Step(grant(0, frame.NoSlot, 1<<29))
	}
}

func TestAUnaryRPCAllocatesNothing(t *testing.T) {
	if poolsForget {
		t.Skip("allocations are counted without the race detector")
	}
	tests := []struct {
		name   string
		client bool
		do     func(*load)
	}{
		{"request", true, func(l *load) { l.request(0, 15) }},
		{"response", false, func(l *load) { l.response(0, 15) }},
		{"a request behind another's data", true, func(l *load) {
			l.request(0, 20_000)
			l.request(1, 15)
		}},
		{"a large response", false, func(l *load) { l.response(0, 1<<20) }},
		{"control", true, func(l *load) {
			_ = l.q.Step(frame.NewWindowUpdate(0, frame.NoSlot, 1))
			_ = l.q.Step(grant(0, frame.NoSlot, 1))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoad(tt.client, 2)
			run := func() { tt.do(l); l.write() }
			for range 10 {
				run()
			}
			// A garbage collection may empty the pools in between; on average
			// that is far less than one.
			if n := testing.AllocsPerRun(500, run); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkUnary(b *testing.B) {
	for _, bb := range []struct {
		name   string
		client bool
		batch  int
		n      int
	}{
		{"request/1", true, 1, 15},
		{"request/64", true, 64, 15},
		{"response/1", false, 1, 15},
		{"response/64", false, 64, 15},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := newLoad(bb.client, bb.batch)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if slot := i % bb.batch; bb.client {
					l.request(slot, bb.n)
				} else {
					l.response(slot, bb.n)
				}
				if i%bb.batch == bb.batch-1 {
					l.write()
				}
			}
		})
	}
}

// BenchmarkUnaryQueued is the same behind a stream that waits for its turn, so
// that nothing is encoded directly.
func BenchmarkUnaryQueued(b *testing.B) {
	const batch = 64
	l := newLoad(true, batch+1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%batch == 0 {
			l.request(batch, 20_000)
		}
		l.request(i%batch, 15)
		if i%batch == batch-1 {
			l.write()
		}
	}
}

// BenchmarkMessage is one small message on each of n streams, then a write.
func BenchmarkMessage(b *testing.B) {
	for _, bb := range []struct {
		name    string
		streams int
	}{{"1", 1}, {"64", 64}, {"10000", 10_000}} {
		b.Run(bb.name, func(b *testing.B) {
			l := newLoad(false, bb.streams)
			for i := range bb.streams {
				o := l.outgoing(i, 0)
				o.Header = responseFields{}
				_ = l.q.Step(o)
			}
			l.write()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				slot := i % bb.streams
				_ = l.q.Step(l.outgoing(slot, 15))
				if l.q.records[slot].window.Value() < 1<<20 {
					_ = l.q.Step(grant(l.id, frame.SlotIndex(slot), 1<<20))
				}
				if i%min(bb.streams, 64) == 0 {
					l.write()
				}
			}
		})
	}
}

// BenchmarkBulk is 1 MiB messages on 8 streams.
func BenchmarkBulk(b *testing.B) {
	const streams, size = 8, 1 << 20
	l := newLoad(false, streams)
	for i := range streams {
		o := l.outgoing(i, 0)
		o.Header = responseFields{}
		_ = l.q.Step(o)
	}
	l.write()
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		slot := i % streams
		_ = l.q.Step(l.outgoing(slot, size))
		_ = l.q.Step(grant(l.id, frame.SlotIndex(slot), size))
		if slot == streams-1 {
			l.write()
		}
	}
}
