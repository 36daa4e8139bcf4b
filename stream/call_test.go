package stream

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// Whatever order the ends come in: one outcome for the application, one end of
// the slot, and the slot serves again.
func TestEndsInEveryOrder(t *testing.T) {
	steps := map[string]func(b *bench, c *Call){
		"cancel": func(b *bench, c *Call) {
			c.Cancel(codes.Canceled, "")
			// What the connection does with it.
			m := b.conn[len(b.conn)-1]
			if m, ok := m.(*CancelCall); ok {
				if _, id, live := m.Target(); live {
					b.ref.Tell(&streamfsm.Cancel{StreamID: id, Code: m.Code})
				}
			}
		},
		"trailers": func(b *bench, c *Call) { b.trailers(1) },
		"reset":    func(b *bench, c *Call) { b.ref.Tell(frame.NewRSTStream(1, frame.RefusedStream)) },
		"lost":     func(b *bench, c *Call) { b.lost(1) },
		"message":  func(b *bench, c *Call) { b.message(1, 100) },
		"release":  func(b *bench, c *Call) { c.Release() },
		"written":  func(b *bench, c *Call) { b.written() },
		"recv":     func(b *bench, c *Call) { stop := closed(); m, _ := c.Recv(stop); release(m) },
	}
	orders := [][]string{
		{"cancel", "release", "lost"},
		{"cancel", "trailers", "release"},
		{"cancel", "reset", "release"},
		{"message", "cancel", "recv", "release", "lost"},
		{"message", "trailers", "recv", "release"},
		{"message", "trailers", "release"},
		{"message", "lost", "recv", "cancel", "release"},
		{"lost", "release"},
		{"reset", "cancel", "release"},
		{"trailers", "cancel", "release"},
		{"message", "recv", "cancel", "message", "release"},
		{"message", "message", "recv", "trailers", "recv", "release"},
		{"cancel", "message", "release", "written"},
		{"cancel", "written", "release"},
		{"lost", "cancel", "release"},
		{"message", "reset", "release"},
	}
	for _, order := range orders {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			b := newBench(t, streamfsm.Client)
			c := b.open(1, false)
			b.response(1)
			for _, s := range order {
				if s == "release" && !c.over {
					t.Fatal("the test releases a live call")
				}
				steps[s](b, c)
			}
			if n := b.done(); n != 1 {
				t.Errorf("the slot ended %d times", n)
			}
			// The next RPC of the slot is not bothered by anything of this one.
			b.written()
			next := b.open(3, false)
			b.ref.Tell(&streamfsm.Cancel{StreamID: 1})
			b.response(3)
			b.message(3, 10)
			b.trailers(3)
			if m, err := next.Recv(nil); err != nil || len(m.Buf.B) != 10 {
				t.Errorf("next: %v", err)
			}
			if _, err := next.Recv(nil); !errors.Is(err, io.EOF) || next.Status() != nil {
				t.Errorf("next: %v %v", err, next.Status())
			}
			next.Release()
		})
	}
}

func closed() <-chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}

func release(m Message) {
	if m.Buf != nil {
		m.Buf.Release()
	}
}

func (b *bench) credited() (n int) {
	for _, m := range b.conn {
		if c, ok := m.(*Credit); ok {
			n += c.N
		}
	}
	return n
}

// What an application has read is reported in lumps; at once when it is called
// in, and while the connection's window is low.
func TestReports(t *testing.T) {
	b := newBench(t, streamfsm.Client)
	c := b.open(1, false)
	b.response(1)
	for range 4 {
		b.message(1, 95)
	}
	recv := func() {
		m, err := c.Recv(nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Buf.Release()
	}
	recv()
	if n := b.credited(); n != 0 {
		t.Errorf("%d octets reported one by one", n)
	}
	b.ref.Tell(&Settle{})
	if n := b.credited(); n != 100 {
		t.Errorf("%d octets reported when called in, want 100", n)
	}
	b.low.Store(true)
	recv()
	if n := b.credited(); n != 200 {
		t.Errorf("%d octets reported while the window is low, want 200", n)
	}
	b.low.Store(false)
	recv()
	recv()
	c.CloseSend()
	b.written()
	b.trailers(1)
	// The connection learns what is owed, then gets it.
	i := slices.IndexFunc(b.conn, func(m any) bool { _, ok := m.(*Done); return ok })
	if d := b.conn[i].(*Done); d.Owed != 200 || d.ID != 1 || d.Slot != 3 {
		t.Errorf("done %+v", d)
	}
	if _, err := c.Recv(nil); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	c.Release()
	if n := b.credited(); n != 400 {
		t.Errorf("%d octets credited, want 400", n)
	}
}

// What is never read is paid when the call is let go.
func TestReleasePays(t *testing.T) {
	b := newBench(t, streamfsm.Client)
	c := b.open(1, false)
	b.response(1)
	for range 4 {
		b.message(1, 95)
	}
	c.CloseSend()
	b.written()
	b.trailers(1)
	c.Release()
	if n := b.credited(); n != 400 {
		t.Errorf("%d octets credited, want 400", n)
	}
}

// A call that has been given a slot is cancelled there, even if the slot's
// actor has not got to it yet.
func TestCancelFindsAGivenSlot(t *testing.T) {
	b := newBench(t, streamfsm.Client)
	c := NewCall()
	c.Keep = true
	c.Open(b.actor.cfg.Conn)
	m := &CancelCall{Call: c, gen: c.gen.Load()}
	if s, _, live := m.Target(); s != frame.NoSlot || !live {
		t.Errorf("a waiting call: slot %d, live %v", s, live)
	}
	open := c.OpenAs(3, 1)
	if s, id, live := m.Target(); s != 3 || id != 1 || !live {
		t.Errorf("a call that was given slot 3: slot %d, stream %d, live %v", s, id, live)
	}
	b.ref.Tell(open)
	b.written()
	b.lost(1)
	if _, _, live := m.Target(); live {
		t.Error("a call that is over is live")
	}
	c.Release()
}

// The header block may still wait for loopy when the call is let go: such a
// Call is not used again, because loopy will read its Request.
func TestUnwrittenCallIsNotPooled(t *testing.T) {
	b := newBench(t, streamfsm.Client)
	c := NewCall()
	c.Request = header.Request{Method: "/a.B/C"}
	c.Open(b.actor.cfg.Conn)
	b.ref.Tell(c.OpenAs(3, 1))
	c.Cancel(codes.Canceled, "")
	b.ref.Tell(&streamfsm.Cancel{StreamID: 1, Code: codes.Canceled})
	c.Release()
	for _, m := range b.loopy {
		if o, ok := m.(*frame.Outgoing); ok && o.Header != nil {
			if r := o.Header.(*header.Request); r.Method != "/a.B/C" {
				t.Errorf("loopy would write %+v", r)
			}
		}
	}
}

// A stopped actor ends its call and wakes its sender.
func TestStoppedActorEndsItsCall(t *testing.T) {
	b := newBench(t, streamfsm.Client)
	c := b.open(1, false)
	b.response(1)
	if err := c.Send(buffer.Get(70_000), false, nil); err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() { result <- c.Send(buffer.Get(10), false, nil) }()
	done := b.ref.Probe().Done()
	b.ref.Stop()
	<-done
	if err := <-result; !errors.Is(err, io.EOF) {
		t.Errorf("send: %v", err)
	}
	if _, err := c.Recv(nil); !errors.Is(err, io.EOF) || c.Status().Code() != codes.Unavailable {
		t.Errorf("recv: %v, status %v", err, c.Status())
	}
	c.Release()
}

// The server's side: one handler, told of the end once, whose last word ends
// the slot.
func TestServed(t *testing.T) {
	for _, end := range []string{"finish", "reset", "lost", "stop"} {
		t.Run(end, func(t *testing.T) {
			b := newBench(t, streamfsm.Server)
			b.headers(1, false, ":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", "test", "te", "trailers", "content-type", "application/grpc")
			if len(b.served) != 1 || b.served[0].In.Method != "/a.B/C" {
				t.Fatalf("served %v", b.served)
			}
			c := b.served[0]
			c.Keep = true
			told := &canceled{}
			c.Attach(told)
			b.message(1, 10)
			switch end {
			case "reset":
				b.ref.Tell(frame.NewRSTStream(1, frame.Cancel))
			case "lost":
				b.lost(1)
			case "stop":
				b.ref.Stop()
			}
			if want := end != "finish"; told.n > 1 || (told.n == 1) != want {
				t.Errorf("the handler was told %d times", told.n)
			}
			m, err := c.Recv(nil)
			if err != nil {
				t.Errorf("what had arrived: %v", err)
			}
			release(m)
			if end != "finish" {
				if _, err := c.Recv(nil); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("recv: %v, want the reason", err)
				}
				if b.done() != 0 {
					t.Error("the slot ended before its handler")
				}
				late := &canceled{}
				c.Attach(late)
				if late.n != 1 {
					t.Error("who attaches late is not told")
				}
			}
			c.Finish(&streamfsm.Finish{Trailer: &header.Trailer{}})
			if want := 1; end != "stop" && b.done() != want {
				t.Errorf("the slot ended %d times", b.done())
			}
		})
	}
}

type canceled struct{ n int }

func (c *canceled) Cancel(error) { c.n++ }

// A cancellation on its way to a call that is over and used again meanwhile
// must find neither of the two.
func TestCancellationMeetsRecycling(t *testing.T) {
	for range 1000 {
		c := &Call{wake: make(chan struct{}, 1)}
		c.canceled, c.over, c.released, c.parted = true, true, true, true
		gen := c.gen.Load()
		cleared := make(chan struct{})
		go func() {
			c.clear()
			close(cleared)
		}()
		if _, _, live := c.target(gen); live {
			t.Fatal("a call that is over is cancelled")
		}
		<-cleared
	}
}
