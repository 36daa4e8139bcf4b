package callboard_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// text is the message of the service below.
type text = wrapperspb.StringValue

// playbook is a service whose methods a test writes as functions: a unary one,
// and one stream of each kind. Those left nil are not called.
type playbook struct {
	unary  func(context.Context, *text) (*text, error)
	stream grpc.StreamHandler
}

const (
	unaryPath  = "/test.Playbook/Unary"
	upPath     = "/test.Playbook/Up"
	downPath   = "/test.Playbook/Down"
	bidiPath   = "/test.Playbook/Bidi"
	absentPath = "/test.Playbook/Absent"
)

var (
	upDesc   = &grpc.StreamDesc{StreamName: "Up", ClientStreams: true}
	downDesc = &grpc.StreamDesc{StreamName: "Down", ServerStreams: true}
	bidiDesc = &grpc.StreamDesc{StreamName: "Bidi", ClientStreams: true, ServerStreams: true}
)

func (s playbook) desc() *grpc.ServiceDesc {
	d := &grpc.ServiceDesc{ServiceName: "test.Playbook", HandlerType: (*any)(nil), Metadata: "playbook.proto"}
	d.Methods = []grpc.MethodDesc{{MethodName: "Unary", Handler: s.handle}}
	for _, sd := range []*grpc.StreamDesc{upDesc, downDesc, bidiDesc} {
		one := *sd
		one.Handler = func(impl any, ss grpc.ServerStream) error { return s.stream(impl, ss) }
		d.Streams = append(d.Streams, one)
	}
	return d
}

// handle is what generated code does.
func (s playbook) handle(impl any, ctx context.Context, //nolint:revive // generated code has this order
	dec func(any) error, i grpc.UnaryServerInterceptor,
) (any, error) {
	in := new(text)
	if err := dec(in); err != nil {
		return nil, err
	}
	if i == nil {
		return reply(s.unary(ctx, in))
	}
	info := &grpc.UnaryServerInfo{Server: impl, FullMethod: unaryPath}
	return i(ctx, in, info, func(ctx context.Context, req any) (any, error) { return reply(s.unary(ctx, req.(*text))) })
}

func reply(out *text, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}

func echo(_ context.Context, in *text) (*text, error) { return in, nil }

func echoStream(_ any, ss grpc.ServerStream) error {
	for {
		in := new(text)
		if err := ss.RecvMsg(in); err != nil {
			return eofIsNil(err)
		}
		if err := ss.SendMsg(in); err != nil {
			return err
		}
	}
}

// server is what both implementations have in common.
type server interface {
	grpc.ServiceRegistrar
	Serve(net.Listener) error
	Stop()
	GracefulStop()
}

func (s playbook) start(t *testing.T, srv server) (addr string) {
	t.Helper()
	srv.RegisterService(s.desc(), nil)
	return serve(t, srv)
}

func serve(t *testing.T, srv server) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return lis.Addr().String()
}

// ours starts the service on callboard, for grpc-go's client.
func (s playbook) ours(t *testing.T, opts ...callboard.ServerOption) *grpc.ClientConn {
	t.Helper()
	return dialTheirs(t, s.start(t, newSystem(t).NewServer(opts...)))
}

func dialTheirs(t *testing.T, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	cc, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// statsLog records what a stats handler hears, by type.
type statsLog struct {
	mu   sync.Mutex
	rpc  []string
	conn []string
	over chan struct{} // gets one per End
	see  func(stats.RPCStats)
}

func newStatsLog() *statsLog { return &statsLog{over: make(chan struct{}, 100)} }

type tagKey string

func (l *statsLog) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, tagKey("rpc"), "tagged")
}

func (l *statsLog) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, tagKey("conn"), "tagged")
}

func (l *statsLog) HandleRPC(ctx context.Context, ev stats.RPCStats) {
	l.mu.Lock()
	l.rpc = append(l.rpc, typeOf(ev))
	see := l.see
	l.mu.Unlock()
	if see != nil {
		see(ev)
	}
	if _, ok := ev.(*stats.End); ok {
		l.over <- struct{}{}
	}
}

func (l *statsLog) HandleConn(_ context.Context, ev stats.ConnStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = append(l.conn, typeOf(ev))
}

func (l *statsLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.rpc
	l.rpc = nil
	return got
}
