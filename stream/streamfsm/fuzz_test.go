package streamfsm

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// FuzzPeer lets a peer do anything at all to a machine, in one role and then
// in the other, while its application behaves. Whatever happens, the RPC ends
// once, the connection gets its window back and nothing is left.
func FuzzPeer(f *testing.F) {
	f.Add([]byte{0, 0, 1, 3, 40, 4, 200, 2})
	f.Add([]byte{9, 0, 0, 10, 0, 11, 30, 12, 0, 1})
	f.Add([]byte{4, 0, 4, 0, 6, 0, 3, 255, 13})
	f.Add([]byte{0, 3, 3, 1, 3, 2, 3, 3, 14, 5, 1, 0, 2, 7})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 400 {
			return
		}
		for _, role := range []Role{Client, Server} {
			h := newHostile(t, role)
			h.run(script)
			h.finish(t)
		}
	})
}

// hostile is a machine whose peer is a script.
type hostile struct {
	*side
	id      frame.StreamID
	silent  bool // the connection was ended by an error
	payload []byte
}

func newHostile(t *testing.T, role Role) *hostile {
	client, server := newPair(func(ok bool, format string, args ...any) {
		if !ok {
			t.Fatalf(format, args...)
		}
	})
	h := &hostile{side: client, id: 1}
	if role == Server {
		h.side = server
	}
	h.payload = bytes.Repeat([]byte("z"), 300)
	h.begins()
	return h
}

// begins starts the RPC of stream h.id.
func (h *hostile) begins() {
	if h.m.cfg.Role == Client {
		_ = h.step(&Open{StreamID: h.id, Slot: testSlot, Header: request()})
		return
	}
	h.headers(0, false)
}

var blocks = [][]frame.Field{
	{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/a.B/C"},
		{Name: ":authority", Value: "x"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	},
	{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc"}},
	{{Name: ":status", Value: "100"}},
	{{Name: ":status", Value: "404"}, {Name: "content-type", Value: "text/html"}},
	{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc"}, {Name: "grpc-status", Value: "7"}},
	{{Name: "grpc-status", Value: "0"}},
	{{Name: "grpc-status", Value: "what"}, {Name: "content-length", Value: "3"}},
	{{Name: "X", Value: "\x00"}},
	{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/"},
		{Name: "content-length", Value: "10"},
	},
	{
		{Name: ":status", Value: "200"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "content-length", Value: "35"},
	},
	nil,
}

func (h *hostile) headers(b byte, end bool) {
	fields := blocks[int(b)%len(blocks)]
	h.receive(packet{id: h.id, fields: slices.Clone(fields), end: end})
}

func (h *hostile) run(script []byte) {
	for len(script) > 0 && !h.silent {
		op, arg := script[0], byte(0)
		script = script[1:]
		if len(script) > 0 {
			arg, script = script[0], script[1:]
		}
		h.do(op, arg)
	}
}

func (h *hostile) do(op, arg byte) {
	m := h.m
	end := arg&0x80 != 0
	running := m.cfg.Role == Client || h.accepted && !h.finished
	switch op % 16 {
	case 0, 1:
		h.headers(arg&0x7f, end)
	case 2:
		h.faultyHeaders(arg, end)
	case 3, 4, 5:
		h.data(arg, end)
	case 6:
		h.receive(packet{id: h.id, rst: true, code: frame.ErrCode(arg & 0x1f)})
	case 7:
		h.receive(packet{id: h.id, grant: int(arg) * 20})
	case 8:
		_ = h.step(&Fail{Err: &frame.StreamError{StreamID: h.id, Code: frame.ErrCode(arg & 0xf), Blame: frame.Local}})
	case 9:
		_ = h.step(&Lost{StreamID: h.id, Code: codes.Unavailable, Unprocessed: end})
	case 10:
		if running && len(h.queue) < 4 {
			p := h.tracked.buffer(message(string(h.payload[:arg])))
			_ = h.step(&Send{StreamID: h.id, Payload: p, EndStream: end && m.cfg.Role == Client})
		}
	case 11:
		if running && len(h.unread) > 0 {
			h.consume(1 + int(arg)%len(h.unread))
		}
	case 12:
		if running {
			_ = h.step(&Cancel{StreamID: h.id, Code: codes.Canceled})
		}
	case 13:
		if running && m.cfg.Role == Server {
			_ = h.step(&SendHeader{StreamID: h.id, Header: &header.Response{}})
		}
	case 14:
		if running && m.cfg.Role == Server {
			h.finishes()
		}
	case 15:
		h.next(arg)
	}
}

func (h *hostile) faultyHeaders(arg byte, end bool) {
	_ = h.step(h.tracked.header(&frame.Headers{
		StreamID: h.id, EndStream: end, TooLarge: arg&1 != 0,
		Fault: &frame.StreamError{StreamID: h.id, Code: frame.ErrCode(arg & 0xf)},
	}))
}

// data sends DATA: whole messages, pieces of them, junk, padding.
func (h *hostile) data(arg byte, end bool) {
	p := packet{id: h.id, isData: true, end: end}
	switch n := int(arg & 0x7f); n % 5 {
	case 0:
		p.data = message(string(h.payload[:n]))
	case 1:
		p.data = append(message(string(h.payload[:n])), message("more")...)
	case 2:
		p.data = message(string(h.payload[:n]))[:n/2]
	case 3:
		p.data = h.payload[:n]
	case 4:
		p.pad = n
	}
	h.receive(p)
}

func (h *hostile) finishes() {
	h.finished = true
	_ = h.step(&Finish{StreamID: h.id, Trailer: &header.Trailer{}})
}

// next begins another RPC where that is possible, with events of the last one
// still to come.
func (h *hostile) next(arg byte) {
	if !h.m.Done() {
		return
	}
	h.releaseUnread()
	h.credits += h.owed // as the connection accounts for it
	h.drop()
	h.id += 2
	h.begins()
	old := h.id - 2
	_ = h.step(&Lost{StreamID: old})
	if h.m.cfg.Role == Client || h.m.accepted {
		_ = h.step(&Send{StreamID: old, Payload: h.tracked.buffer(message("late"))})
	}
	_ = h.step(&frame.RSTStream{StreamID: old, Code: frame.ErrCode(arg)})
}

// finish ends what is still running and looks at what is left.
func (h *hostile) finish(t *testing.T) {
	h.now = h.now.Add(time.Hour)
	if h.m.cfg.Role == Client {
		_ = h.step(&Cancel{StreamID: h.id, Code: codes.Canceled})
		if len(h.outcomes) != 1 {
			t.Fatalf("%d outcomes", len(h.outcomes))
		}
	} else {
		if h.accepted && !h.finished {
			h.finishes()
		}
		if !h.m.Done() { // it was not fit for a handler
			_ = h.step(&Lost{StreamID: h.id})
		}
		if len(h.outcomes) > 1 || h.lasts != 1 {
			t.Fatalf("%d outcomes, %d lasts", len(h.outcomes), h.lasts)
		}
	}
	if !h.m.Done() || h.dones != 1 {
		t.Fatalf("not over: %+v", h.m.View())
	}
	h.releaseUnread()
	h.drop()
	if h.charged != h.credits+h.owed {
		t.Fatalf("%d octets charged to the connection, %d given back, %d owed", h.charged, h.credits, h.owed)
	}
	if left := h.tracked.leaked(); left != "" {
		t.Fatalf("left behind: %s", left)
	}
}
