package callboard_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// hedge is a hedging policy that says UNAVAILABLE is not fatal.
func hedge(attempts int, delay string) string {
	return fmt.Sprintf(`"hedgingPolicy":{"maxAttempts":%d,"hedgingDelay":%q,"nonFatalStatusCodes":["UNAVAILABLE"]}`, attempts, delay)
}

// hanging lets all attempts hang that which does not take, and counts those of
// them whose context was cancelled.
type hanging struct {
	attempted
	canceled atomic.Int32
	live     atomic.Int32
	await    atomic.Int32 // how many hang before one is answered
}

func hangUnless(take func(previous int) bool, answer func() error) *hanging {
	h := &hanging{}
	serve := func(ctx context.Context) error {
		if take(previous(ctx)) {
			for h.live.Load() < h.await.Load() && ctx.Err() == nil {
				runtime.Gosched()
			}
			return answer()
		}
		h.live.Add(1)
		defer h.live.Add(-1)
		<-ctx.Done()
		h.canceled.Add(1)
		return ctx.Err()
	}
	h.unary = func(ctx context.Context, _ int) error { return serve(ctx) }
	h.duplex = func(_ int, st testpb.TestService_FullDuplexCallServer) error { return serve(st.Context()) }
	return h
}

func previous(ctx context.Context) (n int) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md["grpc-previous-rpc-attempts"]; len(v) == 1 {
		_, _ = fmt.Sscan(v[0], &n)
	}
	return n
}

func ok() error { return nil }

func TestHedges(t *testing.T) {
	is := func(n int) func(int) bool { return func(p int) bool { return p == n } }
	for name, tt := range map[string]struct {
		server *hanging
		js     string
		opts   []callboard.DialOption
		code   codes.Code
		seen   []string
		lost   int32
	}{
		"the second wins while the first hangs": {hangUnless(is(1), ok), hedge(2, "0.01s"), nil, codes.OK, []string{"", "1"}, 1},
		"the last of four wins":                 {hangUnless(is(3), ok), hedge(4, "0.005s"), nil, codes.OK, []string{"", "1", "2", "3"}, 3},
		"all at once":                           {hangUnless(is(2), ok), hedge(3, "0s"), nil, codes.OK, []string{"", "1", "2"}, 2},
		"the first is fast enough":              {hangUnless(is(0), ok), hedge(4, "10s"), nil, codes.OK, []string{""}, 0},
		"a fatal code ends all": {
			hangUnless(is(1), func() error { return status.Error(codes.FailedPrecondition, "") }),
			hedge(4, "0.01s"), nil, codes.FailedPrecondition,
			[]string{"", "1"},
			1,
		},
		"no more than the client wants": {hangUnless(is(1), ok), hedge(5, "0s"), []callboard.DialOption{callboard.WithMaxCallAttempts(2)}, codes.OK, []string{"", "1"}, 1},
	} {
		for kind, call := range bothKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				tt.server.canceled.Store(0)
				tt.server.await.Store(tt.lost)
				c := tt.server.client(t, append(tt.opts, policy(tt.js))...)
				if got := status.Code(call(bounded(t), c)); got != tt.code {
					t.Errorf("%v, want %v", got, tt.code)
				}
				eventually(t, func() bool { return tt.server.canceled.Load() == tt.lost })
				if diff := cmp.Diff(tt.seen, tt.server.attempts()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// eventually waits for what a peer learns some time.
func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(5 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Error("it does not come to that")
			return
		}
	}
}

// A code that is not fatal sends the next at once; when all have failed the last
// failure is the RPC's.
func TestHedgesThatFail(t *testing.T) {
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			a := failing(9, codes.Unavailable)
			c := a.client(t, policy(hedge(3, "100s")))
			if got := status.Code(call(bounded(t), c)); got != codes.Unavailable {
				t.Errorf("%v, want Unavailable", got)
			}
			if diff := cmp.Diff([]string{"", "1", "2"}, a.attempts()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// One backend of two hangs: every hedged RPC is served by the other.
func TestHedgingAroundABackendThatHangs(t *testing.T) {
	stuck := hangUnless(func(int) bool { return false }, ok)
	good := hangUnless(func(int) bool { return true }, ok)
	one, other := stuck.serve(t), good.serve(t)
	r := manual.NewBuilderWithScheme("two")
	r.InitialState(resolver.State{Endpoints: []resolver.Endpoint{
		{Addresses: []resolver.Address{{Addr: one}}}, {Addresses: []resolver.Address{{Addr: other}}},
	}})
	cc, err := newSystem(t).NewClient(
		"two:///x", callboard.WithResolvers(r), callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{}],`+hedge(3, "0.01s")+`}]}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	c := testpb.NewTestServiceClient(cc)
	for i := 0; i < 10 || stuck.canceled.Load() == 0 && i < 10_000; i++ {
		var from peer.Peer
		if _, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.Peer(&from), grpc.WaitForReady(true)); err != nil {
			t.Fatalf("RPC %d: %v", i, err)
		}
		if got := from.Addr.String(); got != other {
			t.Errorf("RPC %d: served by %s", i, got)
		}
	}
	if n := stuck.canceled.Load(); n == 0 {
		t.Error("the backend that hangs was never tried")
	}
	eventually(t, func() bool { return stuck.live.Load() == 0 })
}

// What an application sends goes to every attempt until one answers, then on to
// that one.
func TestHedgedStream(t *testing.T) {
	release := make(chan struct{})
	var got [3]atomic.Int32
	var losers sync.WaitGroup
	losers.Add(2)
	a := &attempted{duplex: func(_ int, st testpb.TestService_FullDuplexCallServer) error {
		n := previous(st.Context())
		for got[n].Load() < 5 {
			if _, err := st.Recv(); err != nil {
				return err
			}
			got[n].Add(1)
		}
		if n != 2 {
			defer losers.Done()
			_, err := st.Recv()
			return err
		}
		<-release // not before the others have got everything, too
		if err := st.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
		return echoAll(st)
	}}
	st, err := a.client(t, policy(hedge(3, "0s"))).FullDuplexCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return got[0].Load() == 5 && got[1].Load() == 5 && got[2].Load() == 5 })
	close(release)
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	losers.Wait()
	echoes(t, st, 50, 1000)
}

// The buffer bounds what hedging may cost: when it is full one attempt goes on.
func TestHedgedStreamBeyondItsBuffer(t *testing.T) {
	var live atomic.Int32
	a := &attempted{duplex: func(_ int, st testpb.TestService_FullDuplexCallServer) error {
		live.Add(1)
		defer live.Add(-1)
		n := 0
		for {
			in, err := st.Recv()
			if err == io.EOF {
				return st.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, n)}})
			}
			if err != nil {
				return err
			}
			n += len(in.Payload.Body)
		}
	}}
	st, err := a.client(t, policy(hedge(3, "0s"))).FullDuplexCall(bounded(t), grpc.MaxRetryRPCBufferSize(100_000))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return live.Load() == 3 })
	for range 30 {
		if err := st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 10_000)}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return live.Load() == 1 })
	_ = st.CloseSend()
	m, err := st.Recv()
	if err != nil || len(m.Payload.Body) != 300_000 {
		t.Errorf("%v, the server got %d octets", err, len(m.GetPayload().GetBody()))
	}
}

func TestHedgesAreThrottled(t *testing.T) {
	a := failing(1<<30, codes.Unavailable)
	c := a.client(t, callboard.WithDefaultServiceConfig(`{"retryThrottling":{"maxTokens":4,"tokenRatio":0.1},"methodConfig":[{"name":[{}],`+hedge(4, "0s")+`}]}`))
	for i, want := range []int{4, 1, 1} { // all at once before any has failed, then none
		_, _ = c.UnaryCall(bounded(t), &testpb.SimpleRequest{})
		if got := len(a.attempts()); got != want {
			t.Errorf("RPC %d: %d attempts, want %d", i, got, want)
		}
	}
}

func TestPushbackStopsHedges(t *testing.T) {
	first := make(chan struct{})
	a := &attempted{unary: func(ctx context.Context, n int) error {
		if n == 0 {
			<-first
			return nil
		}
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1"))
		time.AfterFunc(50*time.Millisecond, func() { close(first) })
		return status.Error(codes.Unavailable, "")
	}}
	c := a.client(t, policy(hedge(5, "0.01s")))
	if _, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"", "1"}, a.attempts()); diff != "" {
		t.Error(diff)
	}
}

// The end of the context ends every attempt, and the RPC once.
func TestContextEndsAllHedges(t *testing.T) {
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			h := hangUnless(func(int) bool { return false }, ok)
			var begun, ended atomic.Int32
			c := h.client(t, policy(hedge(3, "0s")), callboard.WithStatsHandler(counting{&begun, &ended}))
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			go func() {
				eventually(t, func() bool { return h.live.Load() == 3 })
				cancel()
			}()
			finished := 0
			err := call(ctx, c, grpc.OnFinish(func(error) { finished++ }))
			if _, ok := callboard.WhyOf(err); status.Code(err) != codes.Canceled || !ok {
				t.Errorf("%v, want Canceled with its reason", err)
			}
			eventually(t, func() bool { return ended.Load() == 3 })
			if begun.Load() != 3 || finished != 1 {
				t.Errorf("%d attempts began, OnFinish was called %d times", begun.Load(), finished)
			}
			eventually(t, func() bool { return h.live.Load() == 0 })
		})
	}
}

// counting counts the beginnings and ends that a stats handler hears of.
type counting struct{ begun, ended *atomic.Int32 }

func (counting) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (counting) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (counting) HandleConn(context.Context, stats.ConnStats)                       {}

func (c counting) HandleRPC(_ context.Context, ev stats.RPCStats) {
	switch ev.(type) {
	case *stats.Begin:
		c.begun.Add(1)
	case *stats.End:
		c.ended.Add(1)
	}
}

// panicky panics at events of one kind.
type panicky struct {
	counting
	at func(stats.RPCStats) bool
}

func (p panicky) HandleRPC(_ context.Context, ev stats.RPCStats) {
	if p.at(ev) {
		panic("stats")
	}
}

// A panic of user code on the goroutine of an attempt is that RPC's error, and
// leaves nothing behind.
func TestPanicInAnAttempt(t *testing.T) {
	for name, at := range map[string]func(stats.RPCStats) bool{
		"begin":       func(ev stats.RPCStats) bool { _, is := ev.(*stats.Begin); return is },
		"out header":  func(ev stats.RPCStats) bool { _, is := ev.(*stats.OutHeader); return is },
		"out payload": func(ev stats.RPCStats) bool { _, is := ev.(*stats.OutPayload); return is },
	} {
		t.Run(name, func(t *testing.T) {
			h := hangUnless(func(int) bool { return false }, ok)
			c := h.client(t, policy(hedge(2, "100s")), callboard.WithStatsHandler(panicky{at: at}))
			if _, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{}); status.Code(err) != codes.Internal {
				t.Errorf("%v, want Internal", err)
			}
			eventually(t, func() bool { return h.live.Load() == 0 })
		})
	}
}
