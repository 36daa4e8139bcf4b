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
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// closingConn is either client.
type closingConn interface {
	grpc.ClientConnInterface
	Close() error
}

// bothClients runs a scenario with grpc-go's client and with ours, and wants
// the same to be seen.
func bothClients(t *testing.T, addr string, dial func(theirs bool) (closingConn, error), scenario func(cc grpc.ClientConnInterface) []string) {
	t.Helper()
	var seen [2][]string
	for i, theirs := range []bool{true, false} {
		cc, err := dial(theirs)
		if err != nil {
			t.Fatal(err)
		}
		seen[i] = scenario(cc)
		if err := cc.Close(); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
		t.Errorf("grpc-go (-) and callboard (+) differ for %s:\n%s", addr, diff)
	}
}

// recorder notes the types of a stats handler's events.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	r.events = append(r.events, s)
	r.mu.Unlock()
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events
	r.events = nil
	return e
}

func (r *recorder) TagRPC(ctx context.Context, i *stats.RPCTagInfo) context.Context {
	r.note("TagRPC " + i.FullMethodName)
	return ctx
}

func (r *recorder) HandleRPC(_ context.Context, ev stats.RPCStats) {
	s := fmt.Sprintf("%T", ev)
	switch ev := ev.(type) {
	case *stats.Begin:
		s += fmt.Sprintf(" client=%t cs=%t ss=%t failfast=%t", ev.Client, ev.IsClientStream, ev.IsServerStream, ev.FailFast)
	case *stats.OutPayload:
		s += fmt.Sprintf(" %d/%d/%d", ev.Length, ev.CompressedLength, ev.WireLength)
	case *stats.InPayload:
		s += fmt.Sprintf(" %d/%d/%d", ev.Length, ev.CompressedLength, ev.WireLength)
	case *stats.End:
		s += " " + status.Code(ev.Error).String()
	case *stats.OutHeader:
		s += " " + ev.FullMethod
	case *stats.InTrailer:
		s += fmt.Sprint(" ", ev.Trailer["t"])
	case *stats.DelayedPickComplete:
		return
	}
	r.note(s)
}

func (r *recorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (r *recorder) HandleConn(context.Context, stats.ConnStats)                       {}

// scripted is a TestService that does what the request's metadata asks for.
type scripted struct {
	testpb.UnimplementedTestServiceServer
}

func (scripted) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))
	if st := in.GetResponseStatus(); st != nil {
		return nil, status.Error(codes.Code(st.Code), st.Message)
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs("h", "1", "h-bin", "\x00\xff"))
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, in.GetResponseSize())}}, nil
}

func (scripted) FullDuplexCall(st testpb.TestService_FullDuplexCallServer) error {
	st.SetTrailer(metadata.Pairs("t", "2"))
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s := in.GetResponseStatus(); s != nil {
			return status.Error(codes.Code(s.Code), s.Message)
		}
		if err := st.Send(&testpb.StreamingOutputCallResponse{Payload: in.Payload}); err != nil {
			return err
		}
	}
}

func scriptedServer(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	testpb.RegisterTestServiceServer(srv, scripted{})
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return lis.Addr().String()
}

func dialEither(t *testing.T, addr string, theirs []grpc.DialOption, ours []callboard.DialOption) func(bool) (closingConn, error) {
	return func(their bool) (closingConn, error) {
		if their {
			return grpc.NewClient(addr, append(theirs, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		}
		return newSystem(t).NewClient(addr, append(ours, callboard.WithTransportCredentials(insecure.NewCredentials()))...)
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestStatsEventsAreGrpcGos(t *testing.T) {
	addr := scriptedServer(t)
	rec := &recorder{}
	dial := dialEither(t, addr, []grpc.DialOption{grpc.WithStatsHandler(rec)}, []callboard.DialOption{callboard.WithStatsHandler(rec)})
	for name, scenario := range map[string]func(c testpb.TestServiceClient){
		"unary OK": func(c testpb.TestServiceClient) {
			_, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseSize: 3})
			if err != nil {
				t.Error(err)
			}
		},
		"unary error": func(c testpb.TestServiceClient) {
			_, _ = c.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: 5, Message: "x"}})
		},
		"unimplemented": func(c testpb.TestServiceClient) {
			_, _ = c.UnimplementedCall(bounded(t), &testpb.Empty{})
		},
		"stream OK": func(c testpb.TestServiceClient) { _ = duplex(bounded(t), c, nil) },
		"stream error": func(c testpb.TestServiceClient) {
			_ = duplex(bounded(t), c, &testpb.EchoStatus{Code: 9, Message: "no"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bothClients(t, addr, dial, func(cc grpc.ClientConnInterface) []string {
				scenario(testpb.NewTestServiceClient(cc))
				seen := rec.take()
				if _, ours := cc.(*callboard.ClientConn); ours {
					wantOrder(t, seen)
				}
				// grpc-go reports what arrives when its transport reads it, which may
				// be before what the application did last.
				slices.Sort(seen)
				return seen
			})
		})
	}
}

// wantOrder holds our events to the documented order: headers before payloads
// before the trailer in each direction, Begin first, End last.
func wantOrder(t *testing.T, events []string) {
	t.Helper()
	at := func(kind string) int {
		return slices.IndexFunc(events, func(s string) bool { return strings.HasPrefix(s, kind) })
	}
	for _, pair := range [][2]string{
		{"TagRPC", "*stats.Begin"},
		{"*stats.Begin", "*stats.OutHeader"},
		{"*stats.OutHeader", "*stats.OutPayload"},
		{"*stats.InHeader", "*stats.InPayload"},
		{"*stats.InPayload", "*stats.InTrailer"},
		{"*stats.InTrailer", "*stats.End"},
	} {
		if a, b := at(pair[0]), at(pair[1]); a >= 0 && b >= 0 && a > b {
			t.Errorf("%s behind %s in %q", pair[0], pair[1], events)
		}
	}
	if n := len(events); n == 0 || !strings.HasPrefix(events[n-1], "*stats.End") {
		t.Errorf("the last event is not End: %q", events)
	}
}

// duplex exchanges one message, then ends as it is told to.
func duplex(ctx context.Context, c testpb.TestServiceClient, end *testpb.EchoStatus) error {
	st, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte("abc")}}); err != nil {
		return err
	}
	if _, err := st.Recv(); err != nil {
		return err
	}
	if end != nil {
		_ = st.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: end})
	} else if err := st.CloseSend(); err != nil {
		return err
	}
	_, err = st.Recv()
	return err
}

func TestCallOptionsBehaveLikeGrpcGos(t *testing.T) {
	addr := scriptedServer(t)
	dial := dialEither(t, addr, nil, nil)
	bothClients(t, addr, dial, func(cc grpc.ClientConnInterface) (seen []string) {
		c := testpb.NewTestServiceClient(cc)
		var h, tr metadata.MD
		var p peer.Peer
		_, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.Header(&h), grpc.Trailer(&tr), grpc.Peer(&p),
			grpc.OnFinish(func(err error) { seen = append(seen, fmt.Sprint("finished ", err)) }))
		seen = append(seen, fmt.Sprint(h["h"], h["h-bin"], tr["t"], p.Addr, err))
		_, err = c.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseSize: 100}, grpc.MaxCallRecvMsgSize(10))
		seen = append(seen, status.Code(err).String())
		_, err = c.UnaryCall(bounded(t), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}}, grpc.MaxCallSendMsgSize(10))
		seen = append(seen, status.Code(err).String())
		_, err = c.UnaryCall(bounded(t), &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: 3, Message: "ä%\n"}}, grpc.Header(&h), grpc.Trailer(&tr))
		seen = append(seen, fmt.Sprint(err, tr["t"]))
		_, err = c.UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.CallContentSubtype("nope"))
		seen = append(seen, status.Code(err).String())
		_, err = c.UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.UseCompressor("nope"))
		seen = append(seen, status.Code(err).String())
		ctx, cancel := context.WithCancel(bounded(t))
		cancel()
		_, err = c.UnaryCall(ctx, &testpb.SimpleRequest{})
		seen = append(seen, err.Error())
		return seen
	})
}

func TestStreamEndsLikeGrpcGos(t *testing.T) {
	addr := scriptedServer(t)
	dial := dialEither(t, addr, nil, nil)
	bothClients(t, addr, dial, func(cc grpc.ClientConnInterface) (seen []string) {
		c := testpb.NewTestServiceClient(cc)
		st, err := c.FullDuplexCall(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, fmt.Sprint("trailer before the end: ", len(st.Trailer())))
		if err := st.CloseSend(); err != nil {
			t.Fatal(err)
		}
		_, err = st.Recv()
		seen = append(seen, fmt.Sprint(err, st.Trailer()["t"]))
		_, err = st.Recv()
		seen = append(seen, fmt.Sprint("again: ", err))
		h, err := st.Header()
		seen = append(seen, fmt.Sprint(len(h["content-type"]), err))
		err = duplex(bounded(t), c, &testpb.EchoStatus{Code: 7, Message: "stop"})
		seen = append(seen, fmt.Sprint(err))
		ctx, cancel := context.WithCancel(bounded(t))
		st, err = c.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		_, err = st.Recv()
		seen = append(seen, status.Code(err).String())
		for err == nil || !errors.Is(err, io.EOF) {
			// The context's end reaches the sender a moment later.
			if err = st.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
				break
			}
		}
		seen = append(seen, fmt.Sprint("send after cancel: ", err))
		return seen
	})
}

func TestInterceptorsAndConcreteConn(t *testing.T) {
	addr := scriptedServer(t)
	var order []string
	wrap := func(name string) grpc.UnaryClientInterceptor {
		return func(ctx context.Context, m string, req, reply any, cc *grpc.ClientConn, inv grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if cc == nil || !strings.Contains(cc.Target(), "127.0.0.1") {
				t.Errorf("interceptor %s got the connection %v", name, cc)
			}
			order = append(order, name)
			return inv(ctx, m, req, reply, cc, opts...)
		}
	}
	cc, err := newSystem(t).NewClient(addr, callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithChainUnaryInterceptor(wrap("b"), wrap("c")), callboard.WithUnaryInterceptor(wrap("a")))
	if err != nil {
		t.Fatal(err)
	}
	g, err := cc.GRPC()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testpb.NewTestServiceClient(g).UnaryCall(bounded(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, order); diff != "" {
		t.Error(diff)
	}
	if err := duplex(bounded(t), testpb.NewTestServiceClient(g), nil); !errors.Is(err, io.EOF) {
		t.Errorf("a stream over the concrete connection ended with %v", err)
	}
}

func TestWaitForReadyWaitsAndFailFastFails(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	lis.Close()
	cc, err := newSystem(t).NewClient(addr, callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithSupervision(func(callboard.Failure) callboard.Directive { return callboard.Reconnect(10 * time.Millisecond) }))
	if err != nil {
		t.Fatal(err)
	}
	c := testpb.NewTestServiceClient(cc)
	_, err = c.UnaryCall(bounded(t), &testpb.SimpleRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("fail-fast: %v", err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := c.UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
		result <- err
	}()
	lis, err = net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	srv := grpc.NewServer()
	testpb.RegisterTestServiceServer(srv, scripted{})
	go func() { _ = srv.Serve(lis) }()
	defer srv.Stop()
	if err := <-result; err != nil {
		t.Errorf("wait-for-ready: %v", err)
	}
}
