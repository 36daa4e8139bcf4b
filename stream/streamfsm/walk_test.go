package streamfsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

// TestWalk lets a client and a server machine live through random RPCs over a
// wire of random speed, with applications that send, read, give up and finish
// at random times, and holds them to the properties of RPCs: one end on each
// side, messages received are a prefix of those sent, all of them if the RPC
// succeeded, nothing on the wire after END_STREAM or RST_STREAM, windows that
// add up, and nothing left behind.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &walk{}
		w.client, w.server = newBudgetedPair(func(ok bool, format string, args ...any) {
			if !ok {
				t.Fatalf(format, args...)
			}
		}, rapid.SampledFrom([]int64{0, 1, 500, 2000, 20_000}).Draw(t, "growth"))
		for range rapid.IntRange(1, 3).Draw(t, "rpcs") {
			w.rpc(t)
		}
		if left := w.client.tracked.leaked(); left != "" {
			t.Fatalf("left behind: %s", left)
		}
	})
}

type walk struct {
	client, server *side
	id             frame.StreamID
	n              int // messages so far: makes their texts differ
}

func (w *walk) rpc(t *rapid.T) {
	w.open(t)
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		w.move(t)
	}
	w.settle(t)
	w.check(t)
}

func (w *walk) open(t *rapid.T) {
	w.id += 2
	id := w.id - 1
	c := w.client
	o := &Open{StreamID: id, Slot: testSlot, Header: request(), Unary: rapid.Bool().Draw(t, "unary")}
	o.EndStream = o.Unary || rapid.IntRange(0, 3).Draw(t, "end") == 0
	first := ""
	if o.Unary || rapid.Bool().Draw(t, "first") {
		first = w.text(t)
		o.Payload = c.tracked.buffer(message(first))
	}
	_ = c.step(o)
	if o.Payload != nil {
		c.sent = append(c.sent, first)
	}
}

// text is a message, different from all others, of a size that sometimes does
// not fit into the window or even passes the limit.
func (w *walk) text(t *rapid.T) string {
	w.n++
	n := rapid.SampledFrom([]int{0, 1, 30, 100, 200, 300, 900, 990, 1500, 4000, testLimit + 1}).Draw(t, "size")
	s := fmt.Sprintf("%d.", w.n)
	return s + strings.Repeat("x", max(0, n-len(s)))
}

func (w *walk) move(t *rapid.T) {
	c, s := w.client, w.server
	id := w.id - 1
	switch rapid.IntRange(0, 21).Draw(t, "move") {
	case 0, 1, 2, 3:
		c.carry()
	case 4, 5, 6, 7:
		s.carry()
	case 8, 9:
		if c.sending() {
			text := w.text(t)
			_ = c.step(&Send{StreamID: id, Payload: c.payload(text), EndStream: rapid.IntRange(0, 5).Draw(t, "end") == 0})
		}
	case 10:
		_ = c.step(&Send{StreamID: id, EndStream: true})
	case 11, 12:
		w.read(t, c)
	case 13, 14:
		w.read(t, s)
	case 15:
		if s.running() {
			_ = s.step(&SendHeader{StreamID: s.m.id, Header: &header.Response{}})
		}
	case 16, 17:
		if s.running() {
			text := w.text(t)
			if s.sending() {
				_ = s.step(&Send{StreamID: s.m.id, Payload: s.payload(text)})
			}
		}
	case 18:
		if s.running() && rapid.IntRange(0, 3).Draw(t, "really") == 0 {
			w.finish(t)
		}
	case 19:
		w.mishap(t)
	case 20:
		c.feed()
	case 21:
		s.feed()
	}
	w.windows(t, c)
	w.windows(t, s)
}

func (w *walk) finish(t *rapid.T) {
	s := w.server
	f := &Finish{StreamID: s.m.id, Trailer: &header.Trailer{Code: codes.Code(rapid.IntRange(0, 3).Draw(t, "code"))}}
	if s.m.told {
		f.Trailer.Code = codes.Canceled // as the handler has been
	}
	if s.sending() && rapid.Bool().Draw(t, "payload") {
		f.Payload = s.payload(w.text(t))
	}
	if rapid.Bool().Draw(t, "header") {
		f.Header = &header.Response{}
	}
	s.finished = true
	_ = s.step(f)
}

// mishap is what seldom happens.
func (w *walk) mishap(t *rapid.T) {
	c, s := w.client, w.server
	id := w.id - 1
	switch rapid.IntRange(0, 11).Draw(t, "mishap") {
	case 0:
		_ = c.step(&Cancel{StreamID: id, Code: codes.Canceled, Message: "enough"})
	case 1:
		if s.running() {
			_ = s.step(&Cancel{StreamID: s.m.id, Code: codes.DeadlineExceeded, Message: "late"})
		}
	case 2:
		_ = c.step(&Fail{Err: &frame.StreamError{StreamID: id, Code: frame.InternalError, Blame: frame.Local}})
	case 3:
		if s.m.id == id {
			_ = s.step(&Fail{Err: &frame.StreamError{StreamID: id, Code: frame.Cancel, Blame: frame.Local}})
		}
	case 4: // the connection is lost, to both
		_ = c.step(&Lost{StreamID: id, Code: codes.Unavailable})
		if s.m.id == id {
			_ = s.step(&Lost{StreamID: id, Code: codes.Unavailable})
		}
		w.cut()
	case 5: // events that are late by one RPC
		if old := id - 2; int32(old) > 0 {
			_ = c.step(&Send{StreamID: old, Payload: c.tracked.buffer(message("late"))})
			_ = c.step(&Cancel{StreamID: old, Code: codes.Canceled})
			_ = c.step(&Lost{StreamID: old})
		}
	case 6:
		if old := id - 2; int32(old) > 0 && s.m.id == id {
			_ = s.step(&Finish{StreamID: old, Payload: s.tracked.buffer(message("late")), Trailer: &header.Trailer{}})
			_ = s.step(&Consumed{StreamID: old, N: 5})
			_ = s.step(&frame.RSTStream{StreamID: old})
		}
	case 7:
		c.now = c.now.Add(time.Second)
	}
}

// cut loses what is on the wire. Connections lose DATA together with
// themselves, so what was charged for it does not matter any more.
func (w *walk) cut() {
	w.client.wire, w.server.wire = nil, nil
	w.client.dead, w.server.dead = true, true
}

func (w *walk) read(t *rapid.T, s *side) {
	if len(s.unread) == 0 || s.m.unary {
		return
	}
	if s.m.cfg.Role == Server && !s.running() {
		return
	}
	n := rapid.IntRange(1, len(s.unread)).Draw(t, "reads")
	s.consume(n)
}

// consume reads n messages.
func (s *side) consume(n int) {
	octets := 0
	for _, m := range s.unread[:n] {
		octets += PrefixLen + len(m.Buf.B)
		m.Buf.Release()
	}
	s.unread = s.unread[n:]
	before, late := s.credits, s.m.Done()
	_ = s.step(&Consumed{StreamID: s.m.id, N: octets})
	if late {
		s.owed -= s.credits - before
	}
}

// sending says that this side's application would still send.
func (s *side) sending() bool { return s.m.sending() && len(s.queue) < 4 }

// running says that a handler is there and has not finished.
func (s *side) running() bool { return s.accepted && !s.finished }

// settle brings the RPC to its end: applications read, the handler finishes,
// everything on the wire arrives.
func (w *walk) settle(t *rapid.T) {
	c, s := w.client, w.server
	for range 1000 {
		moved := c.carry()
		moved = s.carry() || moved
		moved = c.feed() || moved
		moved = s.feed() || moved
		if len(c.unread) > 0 && !c.m.unary {
			c.consume(len(c.unread))
			moved = true
		}
		if len(s.unread) > 0 && s.running() {
			s.consume(len(s.unread))
			moved = true
		}
		if moved {
			continue
		}
		switch {
		case c.m.State() == StateOpen:
			_ = c.step(&Send{StreamID: c.m.id, EndStream: true})
		case s.running():
			w.finish(t)
		default:
			return
		}
	}
	t.Fatalf("the RPC does not come to an end: client %+v, server %+v", c.m.View(), s.m.View())
}

// check holds the RPC that is over to what it promised.
func (w *walk) check(t *rapid.T) {
	c, s := w.client, w.server
	c.releaseUnread()
	if len(c.outcomes) != 1 || c.dones != 1 || !c.m.Done() {
		t.Fatalf("client: %d outcomes, %d dones; %+v", len(c.outcomes), c.dones, c.m.View())
	}
	served := s.m.id == c.m.id
	if served && (len(s.outcomes) > 1 || s.dones != 1 || s.lasts != 1) {
		t.Fatalf("server: %d outcomes, %d dones, %d lasts; %+v", len(s.outcomes), s.dones, s.lasts, s.m.View())
	}
	for _, x := range []*side{c, s} {
		if x.growth != nil && x.growth.Used() != 0 {
			t.Fatalf("%v: its windows are still charged %d octets", x.m.cfg.Role, x.growth.Used())
		}
		if x.owed != 0 {
			t.Fatalf("%v: still owes %d octets", x.m.cfg.Role, x.owed)
		}
		if x.charged != x.credits {
			t.Fatalf("%v: %d octets charged to the connection, %d given back", x.m.cfg.Role, x.charged, x.credits)
		}
		if len(x.queue) > 0 {
			x.drop() // the actor's business: it sees that loopy is not through
		}
	}
	if !served {
		return
	}
	prefix(t, "request", c.sent, s.inbox, s.remoteEnd)
	prefix(t, "response", s.sent, c.inbox, c.outcomes[0].Code == codes.OK)
}

func prefix(t *rapid.T, what string, sent, got []string, all bool) {
	if len(got) > len(sent) || !slices.Equal(got, sent[:len(got)]) {
		t.Fatalf("%s: the %d messages received are no prefix of the %d sent", what, len(got), len(sent))
	}
	if all && len(got) != len(sent) {
		t.Fatalf("%s complete with %d of %d messages", what, len(got), len(sent))
	}
}

// windows holds a receive window to granted = consumed + held + available, and
// the sum of what was announced.
func (w *walk) windows(t *rapid.T, s *side) {
	if s.m.id == 0 {
		return
	}
	r := &s.m.rx
	if r.Granted() != r.Consumed()+int64(r.Held())+int64(r.Available()) || r.Available() < 0 || r.Granted()-r.Consumed() > frame.MaxWindow {
		t.Fatalf("%v: window does not add up: %+v", s.m.cfg.Role, *r)
	}
	beyond := max(r.Held()+r.Available(), r.Size()) - testWindow
	if !s.m.receiving() {
		beyond = r.Held() - testWindow
	}
	if s.growth != nil && !s.m.done && (s.m.growth < beyond && !s.m.deaf || int64(s.m.growth) > s.growth.Used()) {
		t.Fatalf("%v: window %+v, charged %d of %d", s.m.cfg.Role, *r, s.m.growth, s.growth.Used())
	}
	if s.m.unread > r.Held() {
		t.Fatalf("%v: %d unread of %d held", s.m.cfg.Role, s.m.unread, r.Held())
	}
}
