package conn

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

func withEcho(o *options) { o.handler = echo }

func TestUnaryExchange(t *testing.T) {
	pairTest(t, withEcho, func(r *rig) {
		for i := range 5 {
			c := r.unary("/a.B/Unary", "message "+strconv.Itoa(i))
			if code := r.settled(c); code != codes.OK {
				t.Fatalf("status %v", c.Status())
			}
			m, n := c.TakeMessages()
			if got := text(m); n != 1 || got != "message "+strconv.Itoa(i) {
				t.Errorf("%d messages, %q", n, got)
			}
			c.Release()
		}
		synctest.Wait()
		if got := r.table.Len(); got != 9 {
			t.Errorf("%d actors for one call at a time, want guardian, 2 x conn, reader, loopy, stream", got)
		}
	})
}

func TestManyUnaryCallsAtOnce(t *testing.T) {
	pairTest(t, withEcho, func(r *rig) {
		var wg sync.WaitGroup
		for g := range 50 {
			wg.Go(func() {
				for i := range 20 {
					want := strconv.Itoa(g) + "/" + strconv.Itoa(i)
					c := r.unary("/a.B/Unary", want)
					if code := r.settled(c); code != codes.OK {
						t.Errorf("status %v", c.Status())
					}
					m, _ := c.TakeMessages()
					if got := text(m); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					c.Release()
				}
			})
		}
		wg.Wait()
	})
}

func TestStreamingExchange(t *testing.T) {
	pairTest(t, func(o *options) {
		o.handler = func(s *served) {
			s.SendHeader(&header.Response{Metadata: metadata.Pairs("head", "er")})
			got, err := all(s.Call, s.canceled)
			if err != nil {
				t.Errorf("handler: %v", err)
			}
			for _, m := range got {
				if err := s.Send(wire(m), false, s.canceled); err != nil {
					t.Errorf("handler: send: %v", err)
				}
			}
			s.Finish(&streamfsm.Finish{Trailer: &header.Trailer{Code: codes.Aborted, Message: "so be it", Metadata: metadata.Pairs("trail", "er")}})
		}
	}, func(r *rig) {
		c := r.stream("/a.B/Stream")
		if err := c.WaitOpened(within()); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 40 {
			m := strings.Repeat("x", i*1000)
			want = append(want, m)
			if err := c.Send(wire(m), false, within()); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.WaitHeader(within()); err != nil {
			t.Fatal(err)
		}
		if _, md, ok := c.Header(); !ok || md.Get("head")[0] != "er" {
			t.Errorf("header %v %v", md, ok)
		}
		c.CloseSend()
		got, err := all(c, within())
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v, messages differ: %s", err, d)
		}
		if st := c.Status(); st.Code() != codes.Aborted || st.Message() != "so be it" {
			t.Errorf("status %v", st)
		}
		if got := c.Trailer().Get("trail"); len(got) != 1 || got[0] != "er" {
			t.Errorf("trailer %v", c.Trailer())
		}
		c.Release()
	})
}

func TestPingPong(t *testing.T) {
	pairTest(t, withEcho, func(r *rig) {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				c := r.stream("/a.B/Stream")
				if err := c.WaitOpened(within()); err != nil {
					t.Error(err)
				}
				for i := range 50 {
					want := strconv.Itoa(i)
					if err := c.Send(wire(want), false, within()); err != nil {
						t.Error(err)
					}
					m, err := c.Recv(within())
					if err != nil {
						t.Error(err)
						return
					}
					if got := text(m); got != want {
						t.Errorf("got %q, want %q", got, want)
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
	})
}
