package stream

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// bench is a stream actor between a connection and a loopy that only write
// down what they hear. Everything runs on the test's goroutine.
type bench struct {
	testing.TB
	conn, loopy []any
	ref         actors.Ref[any]
	actor       *Actor
	low         atomic.Bool
	served      []*Call
}

type note struct{ to *[]any }

func (n note) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(actor.SystemMessage); ok {
		_ = m
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped:
	default:
		*n.to = append(*n.to, m)
	}
}

type connection struct{ actors.Ref[any] }

func (connection) Info() *ConnInfo { return &ConnInfo{Path: "conn"} }

func (b *bench) Serve(c *Call) { b.served = append(b.served, c) }

func newBench(tb testing.TB, role streamfsm.Role) *bench {
	b := &bench{TB: tb}
	as := actors.NewSystem(nil)
	spawn := func(name string, a actor.Actor) actors.Ref[any] {
		r, err := actors.Spawn[any](as.Root, name, &actors.Spec{Kind: name}, a)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			done := r.Probe().Done()
			r.Stop()
			<-done
		})
		return r
	}
	cfg := &Config{
		Machine: streamfsm.Config{Role: role, InitialWindow: 65535},
		Loopy:   spawn("loopy", note{&b.loopy}), Conn: connection{spawn("conn", note{&b.conn})},
		Handler: b, SendLimit: 64 << 10, Threshold: 16 << 10, Clock: NewClock(time.Now()), Low: &b.low,
	}
	b.actor = New(cfg, 3)
	b.ref = spawn("stream", b.actor)
	return b
}

// written acknowledges what was handed to loopy, as loopy does behind a write.
func (b *bench) written() {
	for _, m := range b.loopy {
		if o, ok := m.(*frame.Outgoing); ok && o.Quota != nil {
			n := 1
			if o.Payload != nil {
				n += len(o.Payload.B)
			}
			o.Quota.Written(n)
			o.Quota = nil
		}
	}
}

func (b *bench) open(id frame.StreamID, unary bool) *Call {
	c := NewCall()
	c.Keep = true
	c.Unary, c.FirstEnds = unary, unary
	c.Request = header.Request{Method: "/a.B/C"}
	c.Open(b.actor.cfg.Conn)
	b.ref.Tell(c.OpenAs(3, id))
	b.written()
	return c
}

func (b *bench) headers(id frame.StreamID, end bool, pairs ...string) {
	h := frame.NewHeaders()
	h.StreamID, h.EndStream = id, end
	for i := 0; i < len(pairs); i += 2 {
		h.Fields = append(h.Fields, frame.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	b.ref.Tell(h)
}

func (b *bench) response(id frame.StreamID) {
	b.headers(id, false, ":status", "200", "content-type", "application/grpc")
}

func (b *bench) trailers(id frame.StreamID) { b.headers(id, true, "grpc-status", "0") }

func (b *bench) message(id frame.StreamID, n int) {
	d := frame.NewData()
	d.StreamID, d.Size, d.Message = id, n+prefixLen, buffer.Get(n)
	b.ref.Tell(d)
}

func (b *bench) lost(id frame.StreamID) {
	b.ref.Tell(&streamfsm.Lost{StreamID: id, Code: codes.Unavailable, Message: "lost"})
}

func (b *bench) done() (n int) {
	for _, m := range b.conn {
		if _, ok := m.(*Done); ok {
			n++
		}
	}
	for _, m := range b.loopy {
		if o, ok := m.(*frame.Outgoing); ok && o.Last {
			n++
		}
	}
	return n
}
