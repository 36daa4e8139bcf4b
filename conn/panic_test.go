package conn

import (
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// moody panics on an actor's turn for one method.
type moody struct{ next *handlers }

func (m *moody) Serve(c *stream.Call) {
	if c.In.Method == "/a.B/Panic" {
		panic("the handler panics")
	}
	m.next.Serve(c)
}

// A stream actor that panics ends its own call and nothing else.
func TestServerStreamPanicEndsItsCallOnly(t *testing.T) {
	h := &handlers{f: echo}
	pairTest(t, func(o *options) { o.serve = &moody{next: h} }, func(r *rig) {
		h.r = r
		other := r.stream("/a.B/Stream")
		if err := other.WaitOpened(within()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			c := r.stream("/a.B/Panic")
			if err := c.WaitOpened(within()); err != nil {
				t.Fatal(err)
			}
			// More for an actor that is no more.
			for range 5 {
				_ = c.Send(wire("x"), false, within())
				synctest.Wait()
			}
			if _, err := all(c, within()); err != nil {
				t.Fatal(err)
			}
			if got := c.Status().Code(); got != codes.Internal {
				t.Errorf("status %v", c.Status())
			}
			c.Release()
		}
		if err := other.Send(wire("still there"), true, within()); err != nil {
			t.Error(err)
		}
		if got, err := all(other, within()); err != nil || len(got) != 1 || other.Status().Code() != codes.OK {
			t.Errorf("the other call: %v %v %v", got, err, other.Status())
		}
		other.Release()
		synctest.Wait()
		for _, p := range r.table.Snapshot() {
			if p.Kind() == "stream" && strings.Contains(p.Path(), "server") && p.LastFailure() != nil {
				t.Errorf("%s lives on after %v", p.Path(), p.LastFailure().Reason)
			}
		}
		if len(r.guard.failures()) > 0 {
			t.Errorf("the connection's parent heard of it: %v", r.guard.failures())
		}
		c := r.unary("/a.B/Unary", "x")
		if got := r.settled(c); got != codes.OK {
			t.Errorf("status %v", c.Status())
		}
		c.Release()
	})
}

func TestClientStreamPanicEndsItsCallOnly(t *testing.T) {
	pairTest(t, withEcho, func(r *rig) {
		c, other := r.stream("/a.B/Stream"), r.stream("/a.B/Stream")
		if err := c.WaitOpened(within()); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(wire("x"), false, within()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		// More read than there is: a bug of ours.
		r.table.Find("test/client/stream-0").Mailbox().PostUserMessage(&streamfsm.Consumed{StreamID: 1, N: 1 << 20})
		if got, err := all(c, within()); err != nil || len(got) != 1 {
			t.Errorf("what had arrived: %v %v", got, err)
		}
		if got := c.Status().Code(); got != codes.Internal {
			t.Errorf("status %v", c.Status())
		}
		c.Release()
		if err := other.Send(wire("still there"), true, within()); err != nil {
			t.Error(err)
		}
		if got, err := all(other, within()); err != nil || len(got) != 1 || other.Status().Code() != codes.OK {
			t.Errorf("the other call: %v %v %v", got, err, other.Status())
		}
		other.Release()
		for range 3 {
			c := r.unary("/a.B/Unary", "x")
			if got := r.settled(c); got != codes.OK {
				t.Errorf("status %v", c.Status())
			}
			c.Release()
		}
	})
}

// A reader or loopy that panics is the connection's end, and the parent hears
// the panic.
func TestSocketActorsEscalate(t *testing.T) {
	for _, loss := range losses {
		if !strings.Contains(loss.name, "loopy panics") && !strings.Contains(loss.name, "reader panics") {
			continue
		}
		t.Run(loss.name, func(t *testing.T) {
			pairTest(t, withEcho, func(r *rig) {
				synctest.Wait()
				loss.do(r)
				r.gone()
				if f := r.guard.failures(); len(f) != 1 || !strings.Contains(f[0].Error(), "panics") {
					t.Errorf("the parent heard %v", f)
				}
			})
		})
	}
}
