package conn

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// losses are the ways in which a connection may go.
var losses = []struct {
	name string
	do   func(*rig)
}{
	{"cut", func(r *rig) { r.cnc.cut(errors.New("cut")) }},
	{"server's socket closed", func(r *rig) { _ = r.snc.Close() }},
	{"client's socket closed", func(r *rig) { _ = r.cnc.Close() }},
	{"server closes", func(r *rig) { r.server.Close("going", nil) }},
	{"client closes", func(r *rig) { r.client.Close("going", errors.New("because")) }},
	{"client stopped", func(r *rig) { r.stopChild(r.client) }},
	{"server stopped", func(r *rig) { r.stopChild(r.server) }},
	{"client's loopy panics", func(r *rig) { r.panicLoopy(r.client) }},
	{"server's loopy panics", func(r *rig) { r.panicLoopy(r.server) }},
	{"client's reader panics", func(r *rig) { r.cnc.in.change(func() { r.cnc.in.panics = true }) }},
	{"server's reader panics", func(r *rig) { r.snc.in.change(func() { r.snc.in.panics = true }) }},
	{"client's conn panics", func(r *rig) { r.client.e.Tell(&stream.Done{Slot: 99, ID: 99}) }},
	{"server's conn panics", func(r *rig) { r.server.e.Tell(&stream.Done{Slot: 99, ID: 99}) }},
}

type panicSource struct{}

func (panicSource) AppendFields([]frame.Field) []frame.Field { panic("the source panics") }

func (r *rig) panicLoopy(c Ref) {
	o := frame.NewOutgoing()
	o.StreamID, o.Slot, o.Header = 1001, 500, panicSource{}
	c.e.loopy.Load().self.Tell(o)
}

// phases are how far a call may have come when its connection goes.
var phases = []struct {
	name    string
	method  string
	unary   bool
	prepare func(*testing.T, *stream.Call)
}{
	{"unary request sent", "/a.B/Hang", true, func(*testing.T, *stream.Call) {}},
	{"stream opened", "/a.B/Hang", false, func(*testing.T, *stream.Call) {}},
	{"message sent", "/a.B/Hang", false, func(t *testing.T, c *stream.Call) {
		if err := c.Send(wire("hello"), false, within()); err != nil {
			t.Error(err)
		}
	}},
	{"half-closed", "/a.B/Hang", false, func(_ *testing.T, c *stream.Call) { c.CloseSend() }},
	{"header received", "/a.B/Header", false, func(t *testing.T, c *stream.Call) {
		if err := c.WaitHeader(within()); err != nil {
			t.Error(err)
		}
	}},
	{"message received", "/a.B/Message", false, func(t *testing.T, c *stream.Call) {
		m, err := c.Recv(within())
		if err != nil {
			t.Fatal(err)
		}
		m.Buf.Release()
	}},
	{"message unread", "/a.B/Message", false, func(*testing.T, *stream.Call) { synctest.Wait() }},
}

func hang(s *served) {
	switch s.method {
	case "/a.B/Header":
		s.SendHeader(&header.Response{})
	case "/a.B/Message":
		_ = s.Send(wire("hello"), false, s.canceled)
	}
	<-s.canceled
	s.ok(wire("too late"))
}

// Whenever the connection goes and however: the call ends once, with
// UNAVAILABLE, its handler is told, and nothing is left.
func TestConnectionLostInEveryPhase(t *testing.T) {
	for _, loss := range losses {
		for _, ph := range phases {
			t.Run(loss.name+"/"+ph.name, func(t *testing.T) {
				pairTest(t, func(o *options) { o.handler = hang }, func(r *rig) {
					var c *stream.Call
					if ph.unary {
						c = r.unary(ph.method, "hello")
					} else {
						c = r.stream(ph.method)
						if err := c.WaitOpened(within()); err != nil {
							t.Fatal(err)
						}
					}
					ph.prepare(t, c)
					synctest.Wait()
					loss.do(r)
					if ph.unary {
						r.settled(c)
					} else if _, err := all(c, within()); err != nil {
						t.Fatalf("recv: %v", err)
					}
					if got := c.Status().Code(); got != codes.Unavailable {
						t.Errorf("status %v", c.Status())
					}
					if err := c.WaitHeader(within()); err != nil {
						t.Errorf("header: %v", err)
					}
					if !ph.unary {
						if err := c.Send(wire("late"), false, within()); !errors.Is(err, io.EOF) {
							t.Errorf("late send: %v", err)
						}
						c.CloseSend()
					}
					if c.Cancel(codes.Canceled, "late") {
						t.Error("the call could be cancelled after its end")
					}
					c.Release()
					// Whoever comes now is turned away at once.
					d := r.unary("/a.B/Hang", "x")
					if got := r.settled(d); got != codes.Unavailable {
						t.Errorf("late call: %v", d.Status())
					}
					if !d.Outcome().Unprocessed {
						t.Error("a late call that nobody processed does not say so")
					}
					d.Release()
				})
			})
		}
	}
}

// The parent hears Down exactly once, or of the panic.
func TestParentHearsOfTheEndOnce(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			pairTest(t, func(o *options) { o.handler = hang }, func(r *rig) {
				c := r.unary("/a.B/Hang", "x")
				synctest.Wait()
				loss.do(r)
				r.settled(c)
				c.Release()
				r.handlers.Wait()
				r.gone()
				synctest.Wait() // for the parent, too
				for _, name := range []string{"client", "server"} {
					n := 0
					for _, h := range r.guard.said() {
						if h == "down "+name || h == "failed "+name {
							n++
						}
					}
					stopped := loss.name == name+" stopped"
					if n != 1 && !stopped || n > 1 {
						t.Errorf("the parent heard %v", r.guard.said())
					}
				}
			})
		})
	}
}

// A handler whose stream is gone finishes into nothing.
func TestHandlerFinishesAfterReset(t *testing.T) {
	var finish chan struct{}
	pairTest(t, func(o *options) {
		finish = make(chan struct{})
		o.handler = func(s *served) {
			<-s.canceled
			if s.method == "/a.B/Next" {
				s.ok(nil)
				return
			}
			<-finish
			if s.why == nil || s.times != 1 {
				t.Errorf("cancelled %d times: %v", s.times, s.why)
			}
			if _, err := s.Recv(nil); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("recv after the reset: %v", err)
			}
			if err := s.Send(wire("x"), false, nil); !errors.Is(err, io.EOF) {
				t.Errorf("send after the reset: %v", err)
			}
			s.SendHeader(&header.Response{})
			s.ok(wire("too late"))
		}
	}, func(r *rig) {
		c := r.stream("/a.B/Stream")
		if err := c.WaitOpened(within()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !c.Cancel(codes.Canceled, "enough") {
			t.Error("cancel came too late")
		}
		if c.Cancel(codes.Aborted, "again") {
			t.Error("cancelled twice")
		}
		if _, err := c.Recv(within()); !errors.Is(err, io.EOF) {
			t.Errorf("recv: %v", err)
		}
		if got := c.Status(); got.Code() != codes.Canceled || got.Message() != "enough" {
			t.Errorf("status %v", got)
		}
		c.Release()
		synctest.Wait()
		if p := r.table.Find("test/server/stream-0"); p == nil || p.State() != "closed" {
			t.Error("the server's stream is not closed")
		}
		close(finish)
		synctest.Wait()
		// The slot serves again.
		d := r.unary("/a.B/Next", "x")
		synctest.Wait()
		if p := r.table.Find("test/server/stream-1"); p != nil {
			t.Error("the slot was not used again")
		}
		d.Cancel(codes.Canceled, "")
		d.Release()
	})
}

// Deadlines of the server's side turn the handler away.
func TestServerDeadline(t *testing.T) {
	pairTest(t, func(o *options) {
		o.handler = func(s *served) {
			<-s.canceled
			if _, err := s.Recv(nil); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("recv after the deadline: %v", err)
			}
			s.Finish(&streamfsm.Finish{Trailer: &header.Trailer{Code: codes.DeadlineExceeded}})
		}
	}, func(r *rig) {
		c := call("/a.B/Stream")
		c.Keep = true
		c.Request.Timeout, c.Request.HasTimeout = 1e9, true
		r.client.Open(c)
		if _, err := all(c, within()); err != nil {
			t.Fatal(err)
		}
		if got := c.Status().Code(); got != codes.DeadlineExceeded {
			t.Errorf("status %v", c.Status())
		}
		c.Release()
	})
}
