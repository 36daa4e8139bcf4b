package streamfsm

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// unary is a unary RPC seen by one machine, with every event prepared: what is
// left is what the machine does.
type unary struct {
	m       *Machine
	fx      Effects
	id      frame.StreamID
	request *header.Request
	resp    *header.Response
	trailer *header.Trailer
	open    Open
	read    Consumed
	finish  Finish
}

func newUnary(role Role) *unary {
	return &unary{
		m:  New(Config{Role: role, InitialWindow: frame.DefaultWindow, MaxMessage: 4 << 20}),
		id: ^frame.StreamID(0), // + 2 is 1

		request: &header.Request{Method: "/a.B/C", Authority: "x", Scheme: "http"},
		resp:    &header.Response{}, trailer: &header.Trailer{},
	}
}

func (u *unary) step(ev Event) {
	u.fx.Reset()
	if err := u.m.Step(ev, epoch, &u.fx); err != nil {
		panic(err)
	}
	for _, o := range u.fx.Out {
		if o.Payload != nil {
			o.Payload.Release()
		}
		o.Free()
	}
	for _, msg := range u.fx.Messages {
		msg.Buf.Release()
	}
}

func (u *unary) headers(end bool, fields []frame.Field) *frame.Headers {
	h := frame.NewHeaders()
	h.StreamID, h.EndStream = u.id, end
	h.Fields = append(h.Fields, fields...)
	return h
}

func (u *unary) data(end bool) *frame.Data {
	d := frame.NewData()
	d.StreamID, d.Size, d.EndStream = u.id, PrefixLen+10, end
	d.Message = buffer.Get(10)
	return d
}

var okTrailer = []frame.Field{{Name: "grpc-status", Value: "0"}}

func (u *unary) client() {
	u.id += 2
	u.open = Open{
		StreamID: u.id, Header: u.request, Payload: buffer.Get(PrefixLen + 10), EndStream: true, Unary: true,
		Deadline: epoch.Add(time.Second),
	}
	u.step(&u.open)
	u.step(u.headers(false, blocks[1]))
	u.fx.Header.Free()
	u.step(u.data(false))
	u.step(u.headers(true, okTrailer))
	if o := u.fx.Outcome; o.Code != codes.OK || !u.fx.Done {
		panic("not OK")
	}
	u.fx.Outcome.Trailer.Free()
}

func (u *unary) server() {
	u.id += 2
	u.step(u.headers(false, blocks[0]))
	u.fx.Accept.Free()
	u.step(u.data(true))
	u.read = Consumed{StreamID: u.id, N: PrefixLen + 10}
	u.step(&u.read)
	u.finish = Finish{StreamID: u.id, Header: u.resp, Payload: buffer.Get(PrefixLen + 10), Trailer: u.trailer}
	u.step(&u.finish)
	if !u.fx.Done {
		panic("not done")
	}
}

func TestUnaryAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("allocations mean nothing under the race detector")
	}
	client, server := newUnary(Client), newUnary(Server)
	for name, rpc := range map[string]func(){"client": client.client, "server": server.server} {
		t.Run(name, func(t *testing.T) {
			rpc() // fills pools, and what the machine reuses
			if n := testing.AllocsPerRun(1000, rpc); n >= 1 {
				t.Errorf("%v allocations per RPC", n)
			}
		})
	}
}

func BenchmarkUnary(b *testing.B) {
	client, server := newUnary(Client), newUnary(Server)
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			client.client()
		}
	})
	b.Run("server", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			server.server()
		}
	})
}
