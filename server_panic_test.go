package callboard_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// panickyCodec cannot read what it can write.
type panickyCodec struct{ encoding.Codec }

func (panickyCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (panickyCodec) Unmarshal([]byte, any) error { panic("codec") }
func (panickyCodec) Name() string                { return "panicky" }

func TestPanicsAreContained(t *testing.T) {
	boom := playbook{
		unary:  func(context.Context, *text) (*text, error) { panic("handler") },
		stream: func(any, grpc.ServerStream) error { panic("stream") },
	}
	fine := playbook{unary: echo, stream: echoStream}
	tests := map[string]struct {
		service playbook
		opts    []callboard.ServerOption
	}{
		"handler": {service: boom},
		"interceptor": {fine, []callboard.ServerOption{
			callboard.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { panic("unary") }),
			callboard.StreamInterceptor(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { panic("stream") }),
		}},
		"codec": {fine, []callboard.ServerOption{callboard.ForceServerCodec(panickyCodec{})}},
		"tap": {fine, []callboard.ServerOption{
			callboard.InTapHandle(func(context.Context, *tap.Info) (context.Context, error) { panic("tap") }),
		}},
		"stats handler, begin": {fine, panicAt[stats.Begin]()},
		"stats handler, in":    {fine, panicAt[stats.InPayload]()},
		"stats handler, out":   {fine, panicAt[stats.OutTrailer]()},
		"goexit": {service: playbook{
			unary:  func(context.Context, *text) (*text, error) { runtime.Goexit(); return nil, nil },
			stream: func(any, grpc.ServerStream) error { runtime.Goexit(); return nil },
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			sys, err := callboard.NewSystem(callboard.WithLogger(slog.New(slog.DiscardHandler)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sys.Shutdown(soon(t)) })
			srv := sys.NewServer(tc.opts...)
			cc := dialTheirs(t, tc.service.start(t, srv))
			for range 3 { // the server lives on, the connection too
				err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text))
				if status.Code(err) != codes.Internal {
					t.Errorf("unary: %v, want Internal", err)
				}
				if code := streamCode(t, cc); code != codes.Internal {
					t.Errorf("stream: %v, want Internal", code)
				}
			}
			srv.GracefulStop()
		})
	}
}

func streamCode(t *testing.T, cc *grpc.ClientConn) codes.Code {
	t.Helper()
	cs, err := cc.NewStream(soon(t), bidiDesc, bidiPath)
	if err != nil {
		t.Fatal(err)
	}
	_ = cs.SendMsg(wrapperspb.String("x"))
	_ = cs.CloseSend()
	for err == nil {
		err = cs.RecvMsg(new(text))
	}
	return status.Code(eofIsNil(err))
}

// panicAt panics in a stats handler at the event *E.
func panicAt[E any]() []callboard.ServerOption {
	l := newStatsLog()
	l.see = func(ev stats.RPCStats) {
		if _, ok := any(ev).(*E); ok {
			panic("stats")
		}
	}
	return []callboard.ServerOption{callboard.StatsHandler(l)}
}
