package callboard_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// A path that names no service does not reach UnknownServiceHandler.
func TestUnknownServiceHandlerGetsMethodsOnly(t *testing.T) {
	forward := func(any, grpc.ServerStream) error { return nil }
	seen := func(srv server) (got []string) {
		cc := dialTheirs(t, serve(t, srv))
		for _, path := range []string{"/foo", "//", "/a/b"} {
			st, err := cc.NewStream(soon(t), bidiDesc, path)
			if err != nil {
				t.Fatal(err)
			}
			_ = st.SendMsg(wrapperspb.String(""))
			got = append(got, path+" "+code(st.RecvMsg(new(text))))
		}
		return got
	}
	want := seen(grpc.NewServer(grpc.UnknownServiceHandler(forward)))
	got := seen(newSystem(t).NewServer(callboard.UnknownServiceHandler(forward)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-grpc-go +callboard:\n%s", diff)
	}
}

// raw passes messages through unread, as a proxy's codec does.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error { *v.(*[]byte) = b; return nil }
func (raw) Name() string                    { return "proto" }

// A server that knows no message forwards calls, statuses and trailers as they
// are.
func TestTransparentProxy(t *testing.T) {
	behind := playbook{
		unary: func(ctx context.Context, in *text) (*text, error) {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))
			if in.Value == "fail" {
				return nil, status.Error(codes.Aborted, "no")
			}
			return in, nil
		},
		stream: echoStream,
	}.start(t, grpc.NewServer())
	up := ours(t, behind, callboard.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	proxy := newSystem(t).NewServer(callboard.ForceServerCodec(raw{}), callboard.UnknownServiceHandler(func(_ any, down grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(down)
		st, err := up.NewStream(down.Context(), bidiDesc, method)
		if err != nil {
			return err
		}
		go func() {
			for {
				var m []byte
				if down.RecvMsg(&m) != nil || st.SendMsg(&m) != nil {
					_ = st.CloseSend()
					return
				}
			}
		}()
		for {
			var m []byte
			if err := st.RecvMsg(&m); err != nil {
				down.SetTrailer(st.Trailer())
				return eofIsNil(err)
			}
			if err := down.SendMsg(&m); err != nil {
				return err
			}
		}
	}))
	cc := dialTheirs(t, serve(t, proxy))
	pingPong(t, cc, bidiPath, "1", "2", "3")
	var md metadata.MD
	out := new(text)
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String("x"), out, grpc.Trailer(&md)); err != nil || out.Value != "x" || len(md["t"]) != 1 {
		t.Errorf("%q, trailer %v, %v", out.Value, md, err)
	}
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String("fail"), out); status.Code(err) != codes.Aborted {
		t.Error(err)
	}
}

// GRPCGoLimits takes what grpc-go takes, on both sides.
func TestGRPCGoLimits(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	service := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		return in, grpc.SetHeader(ctx, metadata.Pairs("long", long))
	}}
	for name, tt := range map[string]struct {
		server []callboard.ServerOption
		client []callboard.DialOption
		want   codes.Code
	}{
		"both":   {[]callboard.ServerOption{callboard.GRPCGoLimits()}, []callboard.DialOption{callboard.GRPCGoLimits()}, codes.OK},
		"server": {[]callboard.ServerOption{callboard.GRPCGoLimits()}, nil, codes.Internal},
		"client": {nil, []callboard.DialOption{callboard.GRPCGoLimits()}, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			cc := ours(t, service.start(t, newSystem(t).NewServer(tt.server...)), tt.client...)
			ctx := metadata.AppendToOutgoingContext(soon(t), "long", long)
			if err := sent(cc, ctx); status.Code(err) != tt.want {
				t.Error(err)
			}
		})
	}
}
