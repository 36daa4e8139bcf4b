package conn

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/stream"
)

// A reader that does not read stops the sender: by the windows, then by the
// quota of what may be queued.
func TestSendWaitsForItsReader(t *testing.T) {
	read := make(chan struct{})
	pairTest(t, func(o *options) {
		o.handler = func(s *served) {
			<-read
			got, err := all(s.Call, s.canceled)
			if err != nil || len(got) != 100 {
				t.Errorf("handler got %d messages, %v", len(got), err)
			}
			s.ok(nil)
		}
		read = make(chan struct{})
	}, func(r *rig) {
		c := r.stream("/a.B/Stream")
		if err := c.WaitOpened(within()); err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				if err := c.Send(wire(strings.Repeat("x", 10_000)), false, within()); err != nil {
					t.Error(err)
				}
				sent.Add(1)
			}
			c.CloseSend()
		}()
		synctest.Wait()
		// 65,535 octets of window, 65,536 of quota, and the message that crosses it.
		if n := sent.Load(); n < 12 || n > 15 {
			t.Errorf("%d messages of 10,000 octets were sent to nobody", n)
		}
		stop := make(chan struct{})
		go func() { time.Sleep(time.Second); close(stop) }()
		p := wire("one too many")
		if err := c.Send(p, false, stop); !errors.Is(err, stream.ErrDone) {
			t.Errorf("send beyond the quota: %v, want ErrDone", err)
		}
		p.Release() // still ours
		close(read)
		<-done
		if _, err := all(c, within()); err != nil || c.Status().Code() != codes.OK {
			t.Errorf("end: %v %v", err, c.Status())
		}
		c.Release()
	})
}

// A sender that waits learns that its stream is over.
func TestEndWakesTheSender(t *testing.T) {
	ends := map[string]func(r *rig, c *stream.Call){
		"cancelled by its own side": func(_ *rig, c *stream.Call) { c.Cancel(codes.Canceled, "enough") },
		"handler returns":           func(*rig, *stream.Call) {},
		"connection cut":            func(r *rig, _ *stream.Call) { r.cnc.cut(errors.New("cut")) },
		"client connection stopped": func(r *rig, _ *stream.Call) { r.stopChild(r.client) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			var leave chan struct{}
			pairTest(t, func(o *options) {
				leave = make(chan struct{})
				o.handler = func(s *served) {
					select {
					case <-leave:
					case <-s.canceled:
					}
					s.ok(nil)
				}
			}, func(r *rig) {
				c := r.stream("/a.B/Stream")
				if err := c.WaitOpened(within()); err != nil {
					t.Fatal(err)
				}
				result := make(chan error)
				go func() {
					for {
						if err := c.Send(wire(strings.Repeat("x", 10_000)), false, nil); err != nil {
							result <- err
							return
						}
					}
				}()
				synctest.Wait()
				end(r, c)
				if name == "handler returns" {
					close(leave)
				}
				select {
				case err := <-result:
					if !errors.Is(err, io.EOF) {
						t.Errorf("send: %v, want io.EOF", err)
					}
				case <-within():
					t.Fatal("the sender is not woken")
				}
				c.Release()
			})
		})
	}
}

// Many streams that each hold back a little of what they have read must not
// stall a small connection window.
func TestSmallConnectionWindowDoesNotHang(t *testing.T) {
	for _, size := range []int{100, 500, 1000, 3000} {
		pairTest(t, func(o *options) {
			o.server.Machine.ConnWindow, o.server.Machine.MaxConnWindow = 65535, 65535
			o.handler = func(s *served) {
				for {
					m, err := s.Recv(s.canceled)
					if err != nil {
						s.ok(nil)
						return
					}
					m.Buf.Release()
					time.Sleep(time.Millisecond) // reads on when everything has arrived
				}
			}
		}, func(r *rig) {
			var wg sync.WaitGroup
			for range 300 {
				c := r.stream("/a.B/Stream")
				wg.Go(func() {
					if err := c.WaitOpened(within()); err != nil {
						t.Error(err)
						return
					}
					for range 5 {
						if err := c.Send(wire(strings.Repeat("x", size)), false, within()); err != nil {
							t.Errorf("send: %v", err)
							return
						}
						time.Sleep(10 * time.Millisecond)
					}
					c.CloseSend()
					if _, err := all(c, within()); err != nil || c.Status().Code() != codes.OK {
						t.Errorf("end: %v %v", err, c.Status())
					}
					c.Release()
				})
			}
			wg.Wait()
		})
	}
}
