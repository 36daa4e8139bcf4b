package callboard

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
)

func newTestCall() *serverCall {
	return &serverCall{
		sc: &serverConn{srv: &Server{}, peer: &peer.Peer{}, stats: connStats{ctx: context.WithValue(context.Background(), testKey("conn"), 1)}},
		in: header.InboundRequest{Method: "/a/b", Authority: "host", User: []frame.Field{{Name: "k", Value: "v"}}},
	}
}

type testKey string

func TestContextAnswersOtherPackages(t *testing.T) {
	s := newTestCall()
	if md, ok := metadata.FromIncomingContext(s); !ok || md.Get("k")[0] != "v" || md.Get(":authority")[0] != "host" {
		t.Errorf("metadata %v", md)
	}
	if got := metadata.ValueFromIncomingContext(s, "k"); len(got) != 1 {
		t.Errorf("value %v", got)
	}
	if p, ok := peer.FromContext(s); !ok || p != s.sc.peer {
		t.Error("peer")
	}
	if ts := grpc.ServerTransportStreamFromContext(s); ts != grpc.ServerTransportStream(s) {
		t.Error("transport stream")
	}
	if m, ok := grpc.Method(s); !ok || m != "/a/b" {
		t.Errorf("method %q", m)
	}
	if s.Value(testKey("conn")) != 1 || s.Value(testKey("other")) != nil {
		t.Error("values of the connection")
	}
	if s.cancel.made() != nil {
		t.Error("asking for values should not cost a context")
	}
	derived := metadata.NewIncomingContext(s, metadata.Pairs("mine", "1"))
	if md, _ := metadata.FromIncomingContext(derived); len(md) != 1 {
		t.Errorf("overridden metadata %v", md)
	}
}

func TestContextEnds(t *testing.T) {
	deadline := status.Error(codes.DeadlineExceeded, "late")
	for name, tc := range map[string]struct {
		end  func(*serverCall)
		want error
	}{
		"handler returned": {func(s *serverCall) { s.cancel.end(context.Canceled) }, context.Canceled},
		"deadline":         {func(s *serverCall) { s.Cancel(deadline) }, context.DeadlineExceeded},
		"connection lost":  {func(s *serverCall) { s.Cancel(status.Error(codes.Unavailable, "gone")) }, context.Canceled},
	} {
		for _, asked := range []bool{true, false} {
			s := newTestCall()
			if s.Err() != nil {
				t.Fatal("ended before it began")
			}
			var done <-chan struct{}
			if asked {
				done = s.Done()
			}
			tc.end(s)
			s.cancel.end(context.Canceled) // the second end changes nothing
			if !asked {
				done = s.Done()
			}
			select {
			case <-done:
			default:
				t.Errorf("%s, asked before: %v: not done", name, asked)
			}
			if !errors.Is(s.Err(), tc.want) || !errors.Is(context.Cause(s), tc.want) {
				t.Errorf("%s: %v, cause %v", name, s.Err(), context.Cause(s))
			}
		}
	}
}

func TestDerivedContextsNeedNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestCall()
		s.deadline = time.Now().Add(time.Hour)
		before := runtime.NumGoroutine()
		valued := context.WithValue(s, testKey("x"), 1) // what an interceptor does
		var all []context.Context
		for _, parent := range []context.Context{s, valued} {
			c1, stop1 := context.WithCancel(parent)
			c2, stop2 := context.WithTimeout(parent, 2*time.Hour) // the parent's is earlier
			c3, stop3 := context.WithCancelCause(c1)
			defer stop1()
			defer stop2()
			defer stop3(nil)
			all = append(all, c1, c2, c3)
		}
		called := make(chan struct{})
		context.AfterFunc(valued, func() { close(called) })
		stop := context.AfterFunc(valued, func() { t.Error("a stopped function was called") })
		if !stop() {
			t.Error("AfterFunc could not be stopped")
		}
		if n := runtime.NumGoroutine() - before; n != 0 {
			t.Errorf("%d goroutines for derived contexts", n)
		}
		detached := context.WithoutCancel(valued)
		s.Cancel(status.Error(codes.DeadlineExceeded, ""))
		<-called
		for i, c := range all {
			if !errors.Is(c.Err(), context.DeadlineExceeded) {
				t.Errorf("context %d: %v", i, c.Err())
			}
		}
		if detached.Err() != nil || detached.Value(testKey("x")) != 1 {
			t.Error("WithoutCancel")
		}
		late, stopLate := context.WithCancel(valued)
		defer stopLate()
		if !errors.Is(late.Err(), context.DeadlineExceeded) {
			t.Errorf("derived after the end: %v", late.Err())
		}
	})
}

func TestContextRaces(t *testing.T) {
	for range 200 {
		s := newTestCall()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { <-s.Done() })
			wg.Go(func() {
				c, stop := context.WithCancel(s)
				defer stop()
				<-c.Done()
				if s.Err() == nil || context.Cause(c) == nil {
					t.Error("done without a reason")
				}
			})
			wg.Go(func() { metadata.FromIncomingContext(s) })
		}
		wg.Go(func() { s.Cancel(status.Error(codes.Canceled, "")) })
		wg.Go(func() { s.cancel.end(context.Canceled) })
		wg.Wait()
	}
}

func TestContextCost(t *testing.T) {
	s := newTestCall()
	ctx := context.Context(s)
	if n := testing.AllocsPerRun(100, func() {
		_ = ctx.Err()
		_, _ = ctx.Deadline()
		_ = ctx.Value(testKey("other"))
		_, _ = peer.FromContext(ctx)
	}); n > 1 { // the key
		t.Errorf("%v allocations", n)
	}
}
