package callboard_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

func TestRegistration(t *testing.T) {
	srv := newSystem(t).NewServer()
	srv.RegisterService(playbook{}.desc(), nil)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	reflection.Register(srv)
	info := srv.GetServiceInfo()
	want := grpc.ServiceInfo{Metadata: "playbook.proto", Methods: []grpc.MethodInfo{
		{Name: "Unary"},
		{Name: "Up", IsClientStream: true},
		{Name: "Down", IsServerStream: true},
		{Name: "Bidi", IsClientStream: true, IsServerStream: true},
	}}
	if diff := cmp.Diff(want, info["test.Playbook"]); diff != "" {
		t.Error(diff)
	}
	if len(info) != 4 {
		t.Errorf("%d services, want 4", len(info))
	}
	panics(t, "registered twice", func() { srv.RegisterService(playbook{}.desc(), nil) })
	panics(t, "not an implementation", func() {
		srv.RegisterService(&grpc.ServiceDesc{ServiceName: "x", HandlerType: (*healthpb.HealthServer)(nil)}, 1)
	})
	awaitServing(t, srv)
	panics(t, "registered late", func() { srv.RegisterService(&grpc.ServiceDesc{ServiceName: "y"}, nil) })
}

// awaitServing returns when srv has answered: from then on nothing may be
// registered.
func awaitServing(t *testing.T, srv *callboard.Server) {
	t.Helper()
	cc := dialTheirs(t, serve(t, srv))
	if err := cc.Invoke(soon(t), absentPath, wrapperspb.String(""), new(text)); status.Code(err) != codes.Unimplemented {
		t.Errorf("absent method: %v", err)
	}
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestUnfitMetadataIsRefused(t *testing.T) {
	cc := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		for _, err := range []error{
			grpc.SetHeader(ctx, metadata.MD{"A b": {"1"}}),
			grpc.SendHeader(ctx, metadata.Pairs("a", "\n")),
			grpc.SetTrailer(ctx, metadata.Pairs("a", "\x00")),
		} {
			if status.Code(err) != codes.Internal {
				t.Errorf("got %v, want Internal", err)
			}
		}
		return in, nil
	}}.ours(t)
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
		t.Error(err)
	}
}

func TestInterceptorsRunOutsideIn(t *testing.T) {
	var order []string
	unary := func(name string) grpc.UnaryServerInterceptor {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			order = append(order, name+" "+info.FullMethod)
			resp, err := next(ctx, req)
			order = append(order, name)
			return resp, err
		}
	}
	stream := func(name string) grpc.StreamServerInterceptor {
		return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			order = append(order, name+" "+info.FullMethod)
			defer func() { order = append(order, name) }()
			return next(srv, ss)
		}
	}
	cc := playbook{unary: echo, stream: echoStream}.ours(t,
		callboard.ChainUnaryInterceptor(unary("b"), unary("c")), callboard.UnaryInterceptor(unary("a")),
		callboard.ChainStreamInterceptor(stream("y"), stream("z")), callboard.StreamInterceptor(stream("x")))
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
		t.Fatal(err)
	}
	if got := pingPong(t, cc, bidiPath, "1"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("replies %q", got)
	}
	want := []string{"a " + unaryPath, "b " + unaryPath, "c " + unaryPath, "c", "b", "a", "x " + bidiPath, "y " + bidiPath, "z " + bidiPath, "z", "y", "x"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
}

// pingPong exchanges messages on a bidirectional stream of path.
func pingPong(t *testing.T, cc *grpc.ClientConn, path string, messages ...string) (replies []string) {
	t.Helper()
	cs, err := cc.NewStream(soon(t), bidiDesc, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := cs.SendMsg(wrapperspb.String(m)); err != nil {
			t.Fatal(err)
		}
		out := new(text)
		if err := cs.RecvMsg(out); err != nil {
			t.Fatal(err)
		}
		replies = append(replies, out.GetValue())
	}
	_ = cs.CloseSend()
	if err := cs.RecvMsg(new(text)); eofIsNil(err) != nil {
		t.Fatal(err)
	}
	return replies
}

func TestUnknownServiceHandler(t *testing.T) {
	cc := playbook{}.ours(t, callboard.UnknownServiceHandler(func(srv any, ss grpc.ServerStream) error {
		m, _ := grpc.MethodFromServerStream(ss)
		if srv != nil {
			t.Errorf("implementation %v", srv)
		}
		_ = ss.SetHeader(metadata.Pairs("was", m))
		return echoStream(srv, ss)
	}))
	var md metadata.MD
	out := new(text)
	if err := cc.Invoke(soon(t), "/no.Such/Method", wrapperspb.String("hi"), out, grpc.Header(&md)); err != nil {
		t.Fatal(err)
	}
	if out.GetValue() != "hi" || !slices.Equal(md.Get("was"), []string{"/no.Such/Method"}) {
		t.Errorf("%q, %v", out.GetValue(), md)
	}
	if got := pingPong(t, cc, absentPath, "1", "2"); len(got) != 2 {
		t.Errorf("a known service's unknown method: %q", got)
	}
}

func TestTap(t *testing.T) {
	cc := playbook{unary: func(ctx context.Context, _ *text) (*text, error) {
		return wrapperspb.String(ctx.Value(tagKey("tap")).(string)), nil
	}}.ours(t, callboard.InTapHandle(func(ctx context.Context, info *tap.Info) (context.Context, error) {
		switch info.Header.Get("want")[0] {
		case "status":
			return nil, status.Error(codes.ResourceExhausted, "enough")
		case "error":
			return nil, errors.New("no")
		}
		return context.WithValue(ctx, tagKey("tap"), info.FullMethodName), nil
	}))
	for want, code := range map[string]codes.Code{"pass": codes.OK, "status": codes.ResourceExhausted, "error": codes.PermissionDenied} {
		out := new(text)
		ctx := metadata.AppendToOutgoingContext(soon(t), "want", want)
		if err := cc.Invoke(ctx, unaryPath, wrapperspb.String(""), out); status.Code(err) != code {
			t.Errorf("%s: %v, want %v", want, err, code)
		}
		if code == codes.OK && out.GetValue() != unaryPath {
			t.Errorf("value of the context: %q", out.GetValue())
		}
	}
}

func TestMessageLimits(t *testing.T) {
	cc := playbook{unary: func(_ context.Context, in *text) (*text, error) {
		return wrapperspb.String(strings.Repeat(in.GetValue(), 10)), nil
	}}.ours(t, callboard.MaxRecvMsgSize(100), callboard.MaxSendMsgSize(500))
	for n, want := range map[int]codes.Code{10: codes.OK, 60: codes.ResourceExhausted, 200: codes.ResourceExhausted} {
		err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(strings.Repeat("x", n)), new(text))
		if status.Code(err) != want {
			t.Errorf("%d octets: %v, want %v", n, err, want)
		}
	}
}

func TestWorkersAreNeverShort(t *testing.T) {
	for _, workers := range []uint32{0, 2} {
		release := make(chan struct{})
		arrived := make(chan struct{}, 100)
		cc := playbook{unary: func(_ context.Context, in *text) (*text, error) {
			arrived <- struct{}{}
			<-release
			return in, nil
		}}.ours(t, callboard.NumStreamWorkers(workers))
		errs := make(chan error, 50)
		for range cap(errs) {
			go func() {
				errs <- cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text))
			}()
		}
		for range cap(errs) {
			<-arrived // all run at once, however few workers are kept
		}
		close(release)
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestServeOnSeveralListeners(t *testing.T) {
	srv := newSystem(t).NewServer()
	srv.RegisterService(playbook{unary: echo}.desc(), nil)
	for range 3 {
		cc := dialTheirs(t, serve(t, srv))
		if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
			t.Error(err)
		}
	}
}

func TestServeReportsAListenerThatEnds(t *testing.T) {
	srv := newSystem(t).NewServer()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(lis) }()
	_ = lis.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Serve goes on")
	}
	srv.Stop()
	if err := srv.Serve(lis); !errors.Is(err, callboard.ErrServerStopped) {
		t.Errorf("after Stop: %v", err)
	}
}
