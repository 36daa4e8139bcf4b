package conn

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/internal/flow"
)

// tight gives both sides budgets for large messages that are smaller than one
// of them, within one process.
func tight(o *options) (process *flow.Budget, each []*flow.Budget) {
	process = flow.NewBudget(8<<20, nil)
	for _, c := range []*Config{&o.client, &o.server} {
		growth := flow.NewBudget(100_000, process)
		first := flow.NewBudget(8<<20, process)
		c.Machine.Growth, c.Stream.Growth = growth, growth
		c.Machine.Budget = first
		c.Reader.FirstPart, c.Reader.Room = 65535, flow.NewRoom(first, growth)
		each = append(each, growth, first)
	}
	return process, each
}

// Large messages on many streams wait for each other's memory, and all arrive.
func TestLargeMessagesWaitForEachOther(t *testing.T) {
	var process *flow.Budget
	var each []*flow.Budget
	pairTest(t, func(o *options) {
		process, each = tight(o)
		o.handler = echo
	}, func(r *rig) {
		synctest.Wait() // SETTINGS arrived
		body := strings.Repeat("x", 300_000)
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if i%2 == 0 {
					c := r.unary("/a.B/Unary", body)
					if got := r.settled(c); got != codes.OK {
						t.Errorf("status %v", c.Status())
					}
					if m, n := c.TakeMessages(); n != 1 || text(m) != body {
						t.Errorf("%d messages", n)
					}
					c.Release()
					return
				}
				c := r.stream("/a.B/Stream")
				if err := c.WaitOpened(within()); err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					if err := c.Send(wire(body), false, within()); err != nil {
						t.Errorf("send: %v", err)
					}
					m, err := c.Recv(within())
					if err != nil || text(m) != body {
						t.Errorf("received: %v", err)
					}
				}
				c.CloseSend()
				if _, err := all(c, within()); err != nil || c.Status().Code() != codes.OK {
					t.Errorf("end: %v %v", err, c.Status())
				}
				c.Release()
			})
		}
		wg.Wait()
		synctest.Wait()
		for i, b := range each {
			if i%2 == 0 && b.Used() != 0 {
				t.Errorf("%d octets of growth are still charged", b.Used())
			}
		}
	})
	if process.Used() != 0 {
		t.Errorf("%d octets are still charged", process.Used())
	}
	for i, b := range each {
		if i%2 == 0 && b.Peak() > 100_000/2+300_000+5 {
			t.Errorf("windows grew by %d", b.Peak())
		}
	}
}

// However a connection ends in the middle of large messages, its budgets are as
// they were.
func TestLostConnectionReturnsItsBudgets(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			var process *flow.Budget
			pairTest(t, func(o *options) {
				process, _ = tight(o)
				o.room = 16 << 10
				o.handler = func(s *served) {
					time.Sleep(time.Second)
					echo(s)
				}
			}, func(r *rig) {
				synctest.Wait()
				var wg sync.WaitGroup
				for range 20 {
					c := r.unary("/a.B/Unary", strings.Repeat("x", 300_000))
					wg.Go(func() {
						r.settled(c)
						c.Release()
					})
				}
				time.Sleep(time.Millisecond)
				loss.do(r)
				wg.Wait()
			})
			if process.Used() != 0 {
				t.Errorf("%d octets are still charged", process.Used())
			}
		})
	}
}
