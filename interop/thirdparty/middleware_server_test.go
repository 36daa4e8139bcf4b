package thirdparty_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/realip"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/selector"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/timeout"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/validator"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// doomed panics in its handlers: with Ping before it answers, with PingList
// behind its first message, with PingStream once it has read one.
type doomed struct{ pingService }

func (*doomed) Ping(context.Context, *testpb.PingRequest) (*testpb.PingResponse, error) {
	panic("unary")
}

func (*doomed) PingList(_ *testpb.PingListRequest, st testpb.TestService_PingListServer) error {
	if err := st.Send(&testpb.PingListResponse{}); err != nil {
		return err
	}
	panic("list")
}

func (*doomed) PingStream(st testpb.TestService_PingStreamServer) error {
	if _, err := st.Recv(); err != nil {
		return err
	}
	panic("stream")
}

// The recovery interceptor gets every panic before callboard does, and says what
// the RPC's status is.
func TestMiddlewareRecovery(t *testing.T) {
	type fall struct {
		Code     codes.Code
		Messages int
	}
	want := sameAsGRPCGo(t, func(t *testing.T, p pairing) map[string]fall {
		var mu sync.Mutex
		var caught []any
		handler := recovery.WithRecoveryHandlerContext(func(ctx context.Context, v any) error {
			mu.Lock()
			defer mu.Unlock()
			caught = append(caught, v)
			if _, ok := grpc.Method(ctx); !ok {
				return status.Error(codes.Internal, "not the RPC's context")
			}
			return status.Errorf(codes.DataLoss, "%v", v)
		})
		srv := p.server.server(serverSide{
			unary:  []grpc.UnaryServerInterceptor{recovery.UnaryServerInterceptor(handler)},
			stream: []grpc.StreamServerInterceptor{recovery.StreamServerInterceptor(handler)},
		})
		testpb.RegisterTestServiceServer(srv, &doomed{})
		addr, _ := serve(t, srv)
		c := testpb.NewTestServiceClient(dial(t, p.client, addr, clientSide{}))
		got := map[string]fall{}
		_, err := c.Ping(soon(t), testpb.GoodPing)
		got["unary"] = fall{Code: status.Code(err)}
		var list retried
		err = callPingList(soon(t), c, &list)
		got["list"] = fall{status.Code(err), len(list.Messages)}
		got["stream"] = fall{Code: status.Code(pingOnce(t, c, testpb.GoodPingStream))}
		_, err = c.PingEmpty(soon(t), &testpb.PingEmptyRequest{})
		got["the next RPC"] = fall{Code: status.Code(err)}
		mu.Lock()
		defer mu.Unlock()
		if d := cmp.Diff([]any{"unary", "list", "stream"}, caught); d != "" {
			t.Errorf("panics -want +caught\n%s", d)
		}
		return got
	})
	if d := cmp.Diff(map[string]fall{
		"unary": {Code: codes.DataLoss}, "list": {codes.DataLoss, 1}, "stream": {Code: codes.DataLoss}, "the next RPC": {},
	}, want); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// pingOnce sends in on a stream and gives what the answer fails with.
func pingOnce(t *testing.T, c testpb.TestServiceClient, in *testpb.PingStreamRequest) error {
	t.Helper()
	st, err := c.PingStream(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Send(in); err != nil {
		t.Error(err)
	}
	_, err = st.Recv()
	if err == nil {
		err = st.CloseSend()
	}
	return err
}

// The timeout interceptor's deadline ends the RPC here and reaches the handler.
func TestMiddlewareTimeout(t *testing.T) {
	eachPairing(t, func(t *testing.T, p pairing) {
		const limit = 300 * time.Millisecond
		ended, done := make(chan struct{}), make(chan struct{})
		srv := p.server.server(serverSide{})
		testpb.RegisterTestServiceServer(srv, &pingService{each: func(ctx context.Context) {
			at, ok := ctx.Deadline()
			if !ok || time.Until(at) > limit {
				t.Errorf("deadline %v, %v", at, ok)
			}
			<-ctx.Done() // by the deadline or the client's cancellation, whichever is first
			close(ended)
			<-done // an answer would be in a race with the client's deadline
		}})
		addr, _ := serve(t, srv)
		t.Cleanup(func() { close(done) })
		cc := dial(t, p.client, addr, clientSide{unary: []grpc.UnaryClientInterceptor{timeout.UnaryClientInterceptor(limit)}})
		// The channel has to be connected: the limit is none for that.
		until(t, "it is connected", func() bool {
			_, err := testpb.NewTestServiceClient(cc).PingEmpty(soon(t), &testpb.PingEmptyRequest{})
			return err == nil
		})
		if _, err := testpb.NewTestServiceClient(cc).Ping(soon(t), testpb.GoodPing); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%v, want DEADLINE_EXCEEDED", err)
		}
		select {
		case <-ended:
		case <-soon(t).Done():
			t.Error("the handler goes on")
		}
	})
}

// The validator refuses on both sides what the messages say is invalid.
func TestMiddlewareValidator(t *testing.T) {
	for name, tt := range map[string]struct {
		atClient bool
		reaches  bool // the server
	}{"server": {false, true}, "client": {true, false}} {
		t.Run(name, func(t *testing.T) {
			eachPairing(t, func(t *testing.T, p pairing) {
				var seen sync.Map
				s := serverSide{unary: []grpc.UnaryServerInterceptor{func(ctx context.Context, in any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
					seen.Store(info.FullMethod, true)
					return next(ctx, in)
				}}}
				var c clientSide
				if tt.atClient {
					c.unary = []grpc.UnaryClientInterceptor{validator.UnaryClientInterceptor()}
				} else {
					s.unary = append(s.unary, validator.UnaryServerInterceptor())
				}
				s.stream = []grpc.StreamServerInterceptor{validator.StreamServerInterceptor()}
				srv := p.server.server(s)
				testpb.RegisterTestServiceServer(srv, &pingService{})
				addr, _ := serve(t, srv)
				tc := testpb.NewTestServiceClient(dial(t, p.client, addr, c))
				if _, err := tc.Ping(soon(t), testpb.BadPing); status.Code(err) != codes.InvalidArgument {
					t.Errorf("bad request: %v", err)
				}
				if _, reached := seen.Load(testpb.TestService_Ping_FullMethodName); reached != tt.reaches {
					t.Errorf("it reaches the server: %v", reached)
				}
				if _, err := tc.Ping(soon(t), testpb.GoodPing); err != nil {
					t.Errorf("good request: %v", err)
				}
				if err := pingOnce(t, tc, testpb.BadPingStream); status.Code(err) != codes.InvalidArgument {
					t.Errorf("bad message: %v", err)
				}
				if err := pingOnce(t, tc, testpb.GoodPingStream); err != nil {
					t.Errorf("good message: %v", err)
				}
			})
		})
	}
}

// auth, realip and selector find in the server's context what they look for: the
// metadata, the peer's address and the method.
func TestMiddlewareServerContext(t *testing.T) {
	type caller struct{}
	eachPairing(t, func(t *testing.T, p pairing) {
		check := func(ctx context.Context) (context.Context, error) {
			token, err := auth.AuthFromMD(ctx, "bearer")
			if err != nil {
				return nil, err
			}
			ip, ok := realip.FromContext(ctx)
			if !ok {
				return nil, status.Error(codes.FailedPrecondition, "no address")
			}
			return context.WithValue(ctx, caller{}, token+" from "+ip.String()), nil
		}
		match := selector.MatchFunc(func(_ context.Context, c interceptors.CallMeta) bool {
			return c.FullMethod() != testpb.TestService_PingEmpty_FullMethodName
		})
		trusted := realip.WithTrustedPeers([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
		headers := realip.WithHeaders([]string{realip.XForwardedFor})
		var who atomic.Value // a string
		srv := p.server.server(serverSide{
			unary: []grpc.UnaryServerInterceptor{
				realip.UnaryServerInterceptorOpts(trusted, headers),
				selector.UnaryServerInterceptor(auth.UnaryServerInterceptor(check), match),
			},
			stream: []grpc.StreamServerInterceptor{
				realip.StreamServerInterceptorOpts(trusted, headers),
				selector.StreamServerInterceptor(auth.StreamServerInterceptor(check), match),
				func(impl any, st grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
					who.Store(st.Context().Value(caller{}))
					return next(impl, st)
				},
			},
		})
		testpb.RegisterTestServiceServer(srv, &pingService{each: func(ctx context.Context) { who.Store(ctx.Value(caller{})) }})
		addr, _ := serve(t, srv)
		c := testpb.NewTestServiceClient(dial(t, p.client, addr, clientSide{}))
		if _, err := c.PingEmpty(soon(t), &testpb.PingEmptyRequest{}); err != nil {
			t.Errorf("not selected: %v", err)
		}
		if _, err := c.Ping(soon(t), testpb.GoodPing); status.Code(err) != codes.Unauthenticated {
			t.Errorf("without a token: %v", err)
		}
		known := metadata.AppendToOutgoingContext(soon(t), "authorization", "bearer me")
		if _, err := c.Ping(known, testpb.GoodPing); err != nil || who.Load() != "me from 127.0.0.1" {
			t.Errorf("%q, %v", who.Load(), err)
		}
		via := metadata.AppendToOutgoingContext(known, realip.XForwardedFor, "192.0.2.7")
		if err := callPingList(via, c, new(retried)); err != nil || who.Load() != "me from 192.0.2.7" {
			t.Errorf("%q, %v", who.Load(), err)
		}
	})
}
