package thirdparty_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// flaky answers as its script says, one step per RPC and OK behind its end, and
// notes which attempts the interceptor says these are.
type flaky struct {
	pingService

	mu       sync.Mutex
	script   []step
	attempts []string
}

// step is how an RPC goes: so many messages, then, if it hangs once it was given
// up, a status.
type step struct {
	messages int
	code     codes.Code
	hang     bool
}

func (f *flaky) next(ctx context.Context) (s step, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	attempt := "first"
	if v := metadata.ValueFromIncomingContext(ctx, retry.AttemptMetadataKey); len(v) > 0 {
		attempt = v[0]
	}
	f.attempts = append(f.attempts, attempt)
	if len(f.script) == 0 {
		return step{}, false
	}
	s, f.script = f.script[0], f.script[1:]
	return s, true
}

func (f *flaky) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attempts
}

func (s step) err(ctx context.Context) error {
	if s.hang {
		// Its deadline and the client's reset are in a race, so the code is the script's.
		<-ctx.Done()
	}
	return status.Error(s.code, "as scripted")
}

func (f *flaky) Ping(ctx context.Context, in *testpb.PingRequest) (*testpb.PingResponse, error) {
	if s, ok := f.next(ctx); ok {
		return nil, s.err(ctx)
	}
	return f.pingService.Ping(ctx, in)
}

func (f *flaky) PingList(in *testpb.PingListRequest, st testpb.TestService_PingListServer) error {
	s, ok := f.next(st.Context())
	if !ok {
		return f.pingService.PingList(in, st)
	}
	for i := range s.messages {
		if err := st.Send(&testpb.PingListResponse{Value: in.GetValue(), Counter: int32(i)}); err != nil {
			return err
		}
	}
	return s.err(st.Context())
}

// retried is what came of a call.
type retried struct {
	Attempts []string // as the server saw them
	Retries  []uint   // as the interceptor tells
	Causes   []codes.Code
	Code     codes.Code
	Messages []int32
}

// attemptTimeout is much more than an attempt takes that does not hang.
const attemptTimeout = 500 * time.Millisecond

var retryScripts = map[string]struct {
	script   []step
	opts     []grpc.CallOption
	attempts []string
	code     codes.Code
	lost     int  // messages of attempts that broke off, which the interceptor does not take back
	unary    bool // the interceptor does not offer it for streams
}{
	"nothing to retry": {nil, []grpc.CallOption{retry.WithMax(3)}, []string{"first"}, codes.OK, 0, false},
	"until it works": {
		[]step{{code: codes.Unavailable}, {code: codes.ResourceExhausted}},
		[]grpc.CallOption{retry.WithMax(4)},
		[]string{"first", "1", "2"},
		codes.OK, 0, false,
	},
	"no more than asked for": {
		[]step{{code: codes.Unavailable}, {code: codes.Unavailable}, {code: codes.Unavailable}},
		[]grpc.CallOption{retry.WithMax(2)},
		[]string{"first", "1"},
		codes.Unavailable, 0, false,
	},
	"a code that is not retried": {
		[]step{{code: codes.Aborted}}, []grpc.CallOption{retry.WithMax(3)}, []string{"first"}, codes.Aborted, 0, false,
	},
	"codes of the call's": {
		[]step{{code: codes.Aborted}, {code: codes.Unavailable}},
		[]grpc.CallOption{retry.WithMax(3), retry.WithCodes(codes.Aborted)},
		[]string{"first", "1"},
		codes.Unavailable, 0, false,
	},
	"disabled": {
		[]step{{code: codes.Unavailable}}, []grpc.CallOption{retry.Disable()}, []string{"first"}, codes.Unavailable, 0, false,
	},
	"an attempt that hangs": {
		[]step{{hang: true, code: codes.DeadlineExceeded}},
		[]grpc.CallOption{retry.WithMax(3), retry.WithPerRetryTimeout(attemptTimeout)},
		[]string{"first", "1"},
		codes.OK, 0, true,
	},
	"in the middle of a stream": {
		[]step{{messages: 3, code: codes.Unavailable}, {messages: 2, code: codes.Unavailable}},
		[]grpc.CallOption{retry.WithMax(3)},
		[]string{"first", "1", "2"},
		codes.OK, 5, false,
	},
}

// The retry interceptor makes the same attempts as over grpc-go, with the
// options of the call that are its own.
func TestMiddlewareRetry(t *testing.T) {
	for name, tt := range retryScripts {
		for kind, call := range map[string]func(context.Context, testpb.TestServiceClient, *retried, ...grpc.CallOption) error{
			"unary": callPing, "server streaming": callPingList,
		} {
			if tt.unary && kind != "unary" {
				continue
			}
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				want := sameAsGRPCGo(t, func(t *testing.T, p pairing) retried {
					f := &flaky{script: tt.script}
					srv := p.server.server(serverSide{})
					testpb.RegisterTestServiceServer(srv, f)
					addr, _ := serve(t, srv)
					var got retried
					shared := []retry.CallOption{
						retry.WithBackoff(retry.BackoffLinear(time.Millisecond)),
						retry.WithOnRetryCallback(func(_ context.Context, n uint, err error) {
							got.Retries, got.Causes = append(got.Retries, n), append(got.Causes, status.Code(err))
						}),
					}
					cc := dial(t, p.client, addr, clientSide{
						unary:  []grpc.UnaryClientInterceptor{retry.UnaryClientInterceptor(shared...)},
						stream: []grpc.StreamClientInterceptor{retry.StreamClientInterceptor(shared...)},
					})
					got.Code = status.Code(call(soon(t), testpb.NewTestServiceClient(cc), &got, tt.opts...))
					got.Attempts = f.seen()
					return got
				})
				if d := cmp.Diff(tt.attempts, want.Attempts); d != "" || want.Code != tt.code {
					t.Errorf("code %v, want %v; attempts -want +got\n%s", want.Code, tt.code, d)
				}
				if n := len(want.Messages); kind != "unary" && tt.code == codes.OK && n != testpb.ListResponseCount+tt.lost {
					t.Errorf("%d messages", n)
				}
			})
		}
	}
}

func callPing(ctx context.Context, c testpb.TestServiceClient, _ *retried, opts ...grpc.CallOption) error {
	_, err := c.Ping(ctx, testpb.GoodPing, opts...)
	return err
}

func callPingList(ctx context.Context, c testpb.TestServiceClient, got *retried, opts ...grpc.CallOption) error {
	st, err := c.PingList(ctx, testpb.GoodPingList, opts...)
	if err != nil {
		return err
	}
	for {
		m, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		got.Messages = append(got.Messages, m.GetCounter())
	}
}

// A client stream cannot be repeated: the interceptor refuses, and the channel
// never hears of it.
func TestMiddlewareRetryRefusesClientStreams(t *testing.T) {
	eachPairing(t, func(t *testing.T, p pairing) {
		srv := p.server.server(serverSide{})
		testpb.RegisterTestServiceServer(srv, &pingService{})
		addr, _ := serve(t, srv)
		cc := dial(t, p.client, addr, clientSide{stream: []grpc.StreamClientInterceptor{retry.StreamClientInterceptor(retry.WithMax(2))}})
		c := testpb.NewTestServiceClient(cc)
		if _, err := c.PingStream(soon(t)); status.Code(err) != codes.Unimplemented {
			t.Errorf("%v, want UNIMPLEMENTED", err)
		}
		st, err := c.PingStream(soon(t), retry.Disable())
		if err != nil {
			t.Fatal(err)
		}
		if err := st.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := st.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
