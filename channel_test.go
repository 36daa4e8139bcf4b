package callboard_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/inspect"
)

func TestFirstCallConnects(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		time.Sleep(time.Minute)
		if s.dialled() != 0 || s.cc.GetState() != connectivity.Idle {
			t.Errorf("%d dials, state %v, before the first call", s.dials, s.cc.GetState())
		}
		for range 3 {
			if err := s.call(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if s.dialled() != 1 || s.cc.GetState() != connectivity.Ready {
			t.Errorf("%d dials, state %v", s.dials, s.cc.GetState())
		}
	})
}

// A call that is not wait-for-ready fails at once and says why.
func TestFailFast(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		s.open(false)
		for range 2 {
			began := time.Now()
			err := s.call(context.Background())
			if status.Code(err) != codes.Unavailable || time.Since(began) != 0 {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			for _, want := range []string{"client/passthrough:///stage", "dial stage", "nobody home", "next attempt in"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		}
		if s.dialled() != 1 {
			t.Errorf("%d dials: failing fast must not try again", s.dials)
		}
	})
}

// Calls that wait for ready are woken by the connection, and by their deadline.
func TestWaitForReady(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		s.open(false)
		result := make(chan error, 10)
		for range cap(result) {
			go func() { result <- s.call(context.Background(), grpc.WaitForReady(true)) }()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		began := time.Now()
		err := s.call(ctx, grpc.WaitForReady(true))
		if status.Code(err) != codes.DeadlineExceeded || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		for _, want := range []string{"waiting for a connection", "TRANSIENT_FAILURE", "nobody home"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		s.open(true)
		for range cap(result) {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
	})
}

// After a loss the next call connects again; ResetConnectBackoff hastens a
// channel in backoff.
func TestReconnect(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		for range 3 {
			if err := s.call(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.cut()
			synctest.Wait()
			if got := s.cc.GetState(); got != connectivity.Idle {
				t.Errorf("state %v", got)
			}
		}
		s.open(false)
		if err := s.call(context.Background()); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		s.open(true)
		if err := s.call(context.Background()); status.Code(err) != codes.Unavailable {
			t.Errorf("in backoff: %v", err)
		}
		s.cc.ResetConnectBackoff()
		synctest.Wait()
		began := time.Now()
		if err := s.call(context.Background()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestWaitForStateChange(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		s.cc.Connect()
		var seen []connectivity.State
		for st := s.cc.GetState(); st != connectivity.Ready; st = s.cc.GetState() {
			if !s.cc.WaitForStateChange(context.Background(), st) {
				t.Fatal("the state does not change")
			}
			if len(seen) == 0 || seen[len(seen)-1] != st {
				seen = append(seen, st)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.cc.WaitForStateChange(ctx, connectivity.Ready) {
			t.Error("changed from READY by itself")
		}
	})
}

// Close ends whatever is under way, each with CANCELLED, and nothing is left.
func TestCloseDuringEverything(t *testing.T) {
	block := func(ctx context.Context, in *text) (*text, error) { <-ctx.Done(); return in, nil }
	hold := func(_ any, ss grpc.ServerStream) error { <-ss.Context().Done(); return nil }
	onStage(t, playbook{unary: block, stream: hold}, nil, func(s *stage) {
		result := make(chan error, 10)
		go func() { result <- s.call(context.Background()) }()
		st, err := s.cc.NewStream(context.Background(), bidiDesc, bidiPath)
		if err != nil {
			t.Fatal(err)
		}
		go func() { result <- st.RecvMsg(new(text)) }()
		synctest.Wait()
		if err := s.cc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for range 2 {
			if err := <-result; status.Code(err) != codes.Canceled {
				t.Errorf("under way: %v", err)
			}
		}
		if err := s.cc.Close(); !errors.Is(err, grpc.ErrClientConnClosing) { //nolint:staticcheck // the value callers compare with
			t.Errorf("second close: %v", err)
		}
		if err := s.call(context.Background()); status.Code(err) != codes.Canceled {
			t.Errorf("after close: %v", err)
		}
		if got := s.cc.GetState(); got != connectivity.Shutdown {
			t.Errorf("state %v", got)
		}
	})
}

func TestCloseWakesThoseWhoWait(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		s.open(false)
		result := make(chan error, 1)
		go func() { result <- s.call(context.Background(), grpc.WaitForReady(true)) }()
		time.Sleep(10 * time.Second)
		if err := s.cc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-result; status.Code(err) != codes.Canceled {
			t.Errorf("waiting: %v", err)
		}
	})
}

// Close of a channel that nobody used, and from many sides at once.
func TestCloseAtOnce(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { _ = s.cc.Close() })
		}
		wg.Wait()
	})
}

// A balancer that panics builds its policies anew from what was resolved. No
// RPC notices, not even one that is in flight.
func TestBalancerPanics(t *testing.T) {
	onStage(t, playbook{unary: echo, stream: echoStream}, nil, func(s *stage) {
		st, err := s.cc.NewStream(context.Background(), bidiDesc, bidiPath)
		if err != nil {
			t.Fatal(err)
		}
		exchange := func() {
			t.Helper()
			if err := st.SendMsg(wrapperspb.String("x")); err != nil {
				t.Error(err)
			}
			if err := st.RecvMsg(new(text)); err != nil {
				t.Error(err)
			}
		}
		exchange()
		pid := actor.NewPID(s.as.Address(), "play/client/passthrough:///stage/balancer")
		s.as.Root.Send(pid, (*balancer.Changed)(nil))
		if err := s.call(context.Background()); err != nil {
			t.Errorf("before the policies are rebuilt the last picker serves: %v", err)
		}
		time.Sleep(5 * time.Second)
		if err := s.call(context.Background()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		exchange()
		if n := s.dialled(); n != 2 {
			t.Errorf("%d dials, want another one of the new policies", n)
		}
		if n := s.sys.Inspect().Find(pid.Id); n == nil || n.Failure == nil {
			t.Errorf("balancer %+v", n)
		}
		if err := st.CloseSend(); err != nil {
			t.Error(err)
		}
		if err := st.RecvMsg(new(text)); !errors.Is(err, io.EOF) {
			t.Errorf("the end of the stream: %v", err)
		}
	})
}

// Close does not wait for a balancer in backoff.
func TestCloseWhileTheBalancerIsDown(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		if err := s.call(context.Background()); err != nil {
			t.Fatal(err)
		}
		pid := actor.NewPID(s.as.Address(), "play/client/passthrough:///stage/balancer")
		for range 8 {
			s.as.Root.Send(pid, (*balancer.Changed)(nil))
		}
		time.Sleep(20 * time.Second)
		began := time.Now()
		if err := s.cc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("closing took %v", d)
		}
	})
}

// Inspection shows the supervision tree.
func TestInspectTree(t *testing.T) {
	onStage(t, playbook{unary: echo, stream: echoStream}, nil, func(s *stage) {
		st, err := s.cc.NewStream(context.Background(), bidiDesc, bidiPath)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.SendMsg(wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(new(text)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got []string
		states := map[string]string{}
		s.sys.Inspect().Walk(func(depth int, n *inspect.Node) bool {
			got = append(got, strings.Repeat("  ", depth)+n.Name)
			states[n.Kind+" "+n.Name] = n.State
			return true
		})
		socket := []string{"loopy", "reader", "stream-0"}
		indent := func(by int, names []string) (out []string) {
			for _, n := range names {
				out = append(out, strings.Repeat("  ", by)+n)
			}
			return out
		}
		want := slices.Concat(
			[]string{"play", "  client/passthrough:///stage", "    balancer", "      subchannel-1", "        conn-1"}, indent(5, socket),
			[]string{"    resolver", "  server/server", "    listener-stage", "      conn-1"}, indent(4, socket),
		)
		if i := slices.IndexFunc(got, func(l string) bool { return strings.HasPrefix(l, "  server/") }); i >= 0 {
			want[slices.Index(want, "  server/server")] = got[i] // its name is the server's own affair
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("tree (-want +got):\n%s", d)
		}
		for what, want := range map[string]string{
			"channel client/passthrough:///stage": "READY", "balancer balancer": "READY", "subchannel subchannel-1": "READY",
			"resolver resolver": "resolved", "conn conn-1": "ready", "reader reader": "reading", "stream stream-0": "open",
			"listener listener-stage": "accepting",
		} {
			if got := states[what]; got != want {
				t.Errorf("%s is %q, want %q", what, got, want)
			}
		}
		if err := st.CloseSend(); err != nil {
			t.Error(err)
		}
		if err := st.RecvMsg(new(text)); !errors.Is(err, io.EOF) {
			t.Errorf("end: %v", err)
		}
	})
}
