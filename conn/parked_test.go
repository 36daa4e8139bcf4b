package conn

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/stream"
)

// Calls beyond MAX_CONCURRENT_STREAMS wait their turn, in order, and may leave.
func TestParkedCalls(t *testing.T) {
	var release chan struct{}
	pairTest(t, func(o *options) {
		release = make(chan struct{})
		o.server.Machine.MaxConcurrentStreams = 1
		o.handler = func(s *served) {
			<-release
			m, err := s.Recv(s.canceled)
			if err != nil {
				s.fail(codes.Unknown, err.Error())
				return
			}
			s.ok(wire(text(m)))
		}
	}, func(r *rig) {
		synctest.Wait() // SETTINGS arrived
		first := r.unary("/a.B/Unary", "first")
		second := r.unary("/a.B/Unary", "second")
		third := r.stream("/a.B/Unary")
		fourth := r.unary("/a.B/Unary", "fourth")
		synctest.Wait()
		if !first.Opened() || second.Opened() || third.Opened() {
			t.Error("the wrong calls have a stream")
		}
		if err := third.WaitOpened(after(time.Second)); !errors.Is(err, stream.ErrDone) {
			t.Errorf("a parked call is open: %v", err)
		}
		if !second.Cancel(codes.DeadlineExceeded, "waited long enough") {
			t.Error("cancel came too late")
		}
		if got := r.settled(second); got != codes.DeadlineExceeded {
			t.Errorf("withdrawn call: %v", second.Status())
		}
		second.Release()
		third.Cancel(codes.Canceled, "never mind")
		third.Release()
		close(release)
		for _, c := range []*stream.Call{first, fourth} {
			if got := r.settled(c); got != codes.OK {
				t.Errorf("status %v", c.Status())
			}
			c.Release()
		}
	})
}

// A connection that goes refuses those who wait for a stream: they may go
// elsewhere.
func TestParkedCallsAreRefusedByLoss(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			pairTest(t, func(o *options) {
				o.server.Machine.MaxConcurrentStreams = 1
				o.handler = hang
			}, func(r *rig) {
				synctest.Wait()
				first := r.unary("/a.B/Hang", "first")
				parked := r.unary("/a.B/Hang", "second")
				waiting := r.stream("/a.B/Hang")
				synctest.Wait()
				loss.do(r)
				r.settled(first)
				if got := r.settled(parked); got != codes.Unavailable || !parked.Outcome().Unprocessed {
					t.Errorf("parked call: %v, unprocessed %v", parked.Status(), parked.Outcome().Unprocessed)
				}
				if err := waiting.WaitOpened(within()); err != nil || waiting.Opened() {
					t.Errorf("parked stream: %v, opened %v", err, waiting.Opened())
				}
				first.Release()
				parked.Release()
				waiting.Release()
			})
		})
	}
}

// Cancelling races with being opened: whoever wins, the call ends once and its
// slot comes back.
func TestCancelRacesWithOpening(t *testing.T) {
	pairTest(t, func(o *options) {
		o.server.Machine.MaxConcurrentStreams = 2
		o.handler = echo
	}, func(r *rig) {
		synctest.Wait()
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for j := range 100 {
					c := r.unary("/a.B/Unary", "x")
					if (i+j)%2 == 0 {
						c.Cancel(codes.Canceled, "")
					}
					code := r.settled(c)
					// A server counts handlers that still run, so the stream after a
					// cancelled one may be refused.
					refused := code == codes.Unavailable && c.Outcome().Unprocessed
					if code != codes.OK && code != codes.Canceled && !refused {
						t.Errorf("status %v", c.Status())
					}
					if m, n := c.TakeMessages(); code == codes.OK && (n != 1 || text(m) != "x") {
						t.Errorf("%d messages", n)
					}
					c.Release()
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		for range 3 {
			c := r.unary("/a.B/Unary", "still there")
			if got := r.settled(c); got != codes.OK {
				t.Errorf("status %v", c.Status())
			}
			c.Release()
		}
		if r.table.Find("test/client/stream-2") != nil {
			t.Error("more slots than MAX_CONCURRENT_STREAMS were used")
		}
	})
}

// A call whose slot's actor has stopped when it should open there is refused,
// and its slot comes back.
func TestOpenMissesItsActor(t *testing.T) {
	pairTest(t, withEcho, func(r *rig) {
		c := r.unary("/a.B/Unary", "x")
		r.settled(c)
		c.Release()
		synctest.Wait()
		r.table.Find("test/client/stream-0").Mailbox().PostSystemMessage(&actor.Stop{})
		synctest.Wait()
		for range 3 {
			d := r.unary("/a.B/Unary", "x")
			if got := r.settled(d); got != codes.Unavailable || !d.Outcome().Unprocessed {
				t.Errorf("status %v", d.Status())
			}
			d.Release()
		}
	})
}

func after(d time.Duration) <-chan struct{} {
	ch := make(chan struct{})
	time.AfterFunc(d, func() { close(ch) })
	return ch
}
