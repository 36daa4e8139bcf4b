package callboard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// attempted is a TestService of grpc-go that lets a function answer each
// attempt of each RPC, and notes what the attempts say of themselves.
type attempted struct {
	testpb.UnimplementedTestServiceServer
	unary  func(ctx context.Context, n int) error // n counts from 0
	duplex func(n int, st testpb.TestService_FullDuplexCallServer) error

	mu   sync.Mutex
	seen []string // grpc-previous-rpc-attempts of each; "" for none
}

func (a *attempted) note(ctx context.Context) int {
	md, _ := metadata.FromIncomingContext(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, strings.Join(md["grpc-previous-rpc-attempts"], "|"))
	return len(a.seen) - 1
}

// attempts are those that came since the last time.
func (a *attempted) attempts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	slices.Sort(seen) // hedges may arrive in another order
	return seen
}

func (a *attempted) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	n := a.note(ctx)
	_ = grpc.SetTrailer(ctx, metadata.Pairs("attempt", fmt.Sprint(n)))
	if err := a.unary(ctx, n); err != nil {
		return nil, err
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs("attempt", fmt.Sprint(n)))
	return &testpb.SimpleResponse{Username: fmt.Sprint(n)}, nil
}

func (a *attempted) FullDuplexCall(st testpb.TestService_FullDuplexCallServer) error {
	n := a.note(st.Context())
	st.SetTrailer(metadata.Pairs("attempt", fmt.Sprint(n)))
	return a.duplex(n, st)
}

func (a *attempted) serve(t *testing.T, opts ...grpc.ServerOption) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(srv, a)
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return lis.Addr().String()
}

// policy is a service config whose method has what js says.
func policy(js string) callboard.DialOption {
	return callboard.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],` + js + `}]}`)
}

const retryFast = `"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.001s","maxBackoff":"0.002s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}`

const retrySlow = `"retryPolicy":{"maxAttempts":4,"initialBackoff":"100s","maxBackoff":"100s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}`

func (a *attempted) client(t *testing.T, opts ...callboard.DialOption) testpb.TestServiceClient {
	t.Helper()
	cc, err := newSystem(t).NewClient(a.serve(t), append(opts, callboard.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	return testpb.NewTestServiceClient(cc)
}

// failing ends the first attempts of both kinds of RPC with a code.
func failing(times int, c codes.Code) *attempted {
	fail := func(n int) error {
		if n < times {
			return status.Error(c, "not yet")
		}
		return nil
	}
	return &attempted{
		unary:  func(_ context.Context, n int) error { return fail(n) },
		duplex: func(n int, _ testpb.TestService_FullDuplexCallServer) error { return fail(n) },
	}
}

// bothKinds does an RPC that is unary, and one that is a stream.
var bothKinds = map[string]func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error{
	"unary": func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{}, opts...)
		return err
	},
	"stream": func(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) error {
		st, err := c.FullDuplexCall(ctx, opts...)
		if err != nil {
			return err
		}
		_ = st.CloseSend()
		for {
			if _, err := st.Recv(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	},
}

func TestRetriesByPolicy(t *testing.T) {
	pushback := func(value string) *attempted {
		a := failing(1, codes.Unavailable)
		unary, duplex := a.unary, a.duplex
		a.unary = func(ctx context.Context, n int) error {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", value))
			return unary(ctx, n)
		}
		a.duplex = func(n int, st testpb.TestService_FullDuplexCallServer) error {
			st.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", value))
			return duplex(n, st)
		}
		return a
	}
	headersFirst := failing(1, codes.Unavailable)
	unary, duplex := headersFirst.unary, headersFirst.duplex
	headersFirst.unary = func(ctx context.Context, n int) error {
		_ = grpc.SendHeader(ctx, metadata.Pairs("h", "1"))
		return unary(ctx, n)
	}
	headersFirst.duplex = func(n int, st testpb.TestService_FullDuplexCallServer) error {
		_ = st.SendHeader(metadata.Pairs("h", "1"))
		return duplex(n, st)
	}
	for name, tt := range map[string]struct {
		server *attempted
		opts   []callboard.DialOption
		code   codes.Code
		seen   []string
	}{
		"until it succeeds":             {failing(2, codes.Unavailable), []callboard.DialOption{policy(retryFast)}, codes.OK, []string{"", "1", "2"}},
		"until there are no more":       {failing(9, codes.Unavailable), []callboard.DialOption{policy(retryFast)}, codes.Unavailable, []string{"", "1", "2", "3"}},
		"not with another code":         {failing(1, codes.Internal), []callboard.DialOption{policy(retryFast)}, codes.Internal, []string{""}},
		"not without a policy":          {failing(1, codes.Unavailable), nil, codes.Unavailable, []string{""}},
		"not when disabled":             {failing(1, codes.Unavailable), []callboard.DialOption{policy(retryFast), callboard.WithDisableRetry()}, codes.Unavailable, []string{""}},
		"no more than the client wants": {failing(9, codes.Unavailable), []callboard.DialOption{policy(retryFast), callboard.WithMaxCallAttempts(2)}, codes.Unavailable, []string{"", "1"}},
		"when the server says":          {pushback("1"), []callboard.DialOption{policy(retrySlow)}, codes.OK, []string{"", "1"}},
		"not when the server says":      {pushback("-1"), []callboard.DialOption{policy(retryFast)}, codes.Unavailable, []string{""}},
		"not after response headers":    {headersFirst, []callboard.DialOption{policy(retryFast)}, codes.Unavailable, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			c := tt.server.client(t, tt.opts...)
			for kind, call := range bothKinds {
				if got := status.Code(call(bounded(t), c)); got != tt.code {
					t.Errorf("%s: %v, want %v", kind, got, tt.code)
				}
				if diff := cmp.Diff(tt.seen, tt.server.attempts()); diff != "" {
					t.Errorf("%s: previous attempts: %s", kind, diff)
				}
			}
		})
	}
}

// The failures of one RPC stop the retries of the next, and successes of any
// RPC bring them back.
func TestRetriesAreThrottled(t *testing.T) {
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			a := failing(1<<30, codes.Unavailable)
			c := a.client(t, callboard.WithDefaultServiceConfig(`{"retryThrottling":{"maxTokens":6,"tokenRatio":1},"methodConfig":[{"name":[{}],`+retryFast+`}]}`))
			for _, want := range []int{3, 1, 1} { // 6 tokens: open above 3
				_ = call(bounded(t), c)
				if got := len(a.attempts()); got != want {
					t.Errorf("%d attempts, want %d", got, want)
				}
			}
			works := func(context.Context, int) error { return nil }
			a.unary, a.duplex = works, func(int, testpb.TestService_FullDuplexCallServer) error { return nil }
			for range 6 {
				if err := call(bounded(t), c); err != nil {
					t.Error(err)
				}
			}
			again := failing(2, codes.Unavailable)
			a.attempts()
			a.unary, a.duplex = again.unary, again.duplex
			if err := call(bounded(t), c); err != nil {
				t.Errorf("after successes: %v", err)
			}
		})
	}
}

// The context ends the wait for the next attempt, OnFinish hears of one end, and
// an interceptor sees one call.
func TestContextEndsBackoff(t *testing.T) {
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			var calls int
			a := failing(9, codes.Unavailable)
			failed := make(chan struct{})
			unary, duplex := a.unary, a.duplex
			a.unary = func(ctx context.Context, n int) error { defer close(failed); return unary(ctx, n) }
			a.duplex = func(n int, st testpb.TestService_FullDuplexCallServer) error {
				defer close(failed)
				return duplex(n, st)
			}
			c := a.client(
				t, policy(retrySlow),
				callboard.WithUnaryInterceptor(func(ctx context.Context, m string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
					calls++
					return next(ctx, m, req, reply, cc, opts...)
				}),
				callboard.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, m string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
					calls++
					return next(ctx, desc, cc, m, opts...)
				}),
			)
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			go func() {
				<-failed
				cancel()
			}()
			var ends []error
			err := call(ctx, c, grpc.OnFinish(func(err error) { ends = append(ends, err) }))
			if status.Code(err) != codes.Canceled {
				t.Errorf("%v, want Canceled", err)
			}
			if len(ends) != 1 || status.Code(ends[0]) != codes.Canceled {
				t.Errorf("OnFinish heard %v", ends)
			}
			if calls != 1 || len(a.attempts()) != 1 {
				t.Errorf("%d calls of the interceptor", calls)
			}
		})
	}
}

// One deadline is for all attempts.
func TestDeadlineCoversAllAttempts(t *testing.T) {
	a := failing(2, codes.Unavailable)
	var left []time.Duration
	unary := a.unary
	a.unary = func(ctx context.Context, n int) error {
		at, _ := ctx.Deadline()
		left = append(left, time.Until(at))
		return unary(ctx, n)
	}
	c := a.client(t, policy(`"timeout":"10s",`+retryFast))
	if _, err := c.UnaryCall(context.Background(), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 || left[0] <= left[1] || left[1] <= left[2] || left[0] > 10*time.Second {
		t.Errorf("time left of the attempts: %v", left)
	}
}

// What the call options report is of the attempt that became the RPC.
func TestOptionsReportTheLastAttempt(t *testing.T) {
	for name, tt := range map[string]struct {
		fails   int
		header  []string
		trailer string
	}{
		"success": {2, []string{"2"}, "2"},
		"failure": {9, nil, "3"},
	} {
		t.Run(name, func(t *testing.T) {
			a := failing(tt.fails, codes.Unavailable)
			c := a.client(t, policy(retryFast))
			var header, trailer metadata.MD
			var from peer.Peer
			_, _ = c.UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from))
			if diff := cmp.Diff(tt.header, header["attempt"]); diff != "" {
				t.Errorf("header: %s", diff)
			}
			if diff := cmp.Diff([]string{tt.trailer}, trailer["attempt"]); diff != "" {
				t.Errorf("trailer: %s", diff)
			}
			if from.Addr == nil {
				t.Error("no peer")
			}
		})
	}
}
