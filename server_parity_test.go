package callboard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func typeOf(v any) string { return strings.TrimPrefix(fmt.Sprintf("%T", v), "*stats.") }

func eofIsNil(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// seen is what client and handler of one RPC observed.
type seen struct {
	Code    codes.Code
	Message string
	Details int
	Header  metadata.MD
	Trailer metadata.MD
	Replies []string
	Handler []string // what the handler noted
}

// parityCase is one RPC whose course must not depend on the implementation.
type parityCase struct {
	name    string
	path    string // default: unaryPath
	unary   func(context.Context, *notes, *text) (*text, error)
	stream  func(*notes, grpc.ServerStream) error
	ctx     func(context.Context) (context.Context, context.CancelFunc)
	opts    []grpc.CallOption
	send    []string // a stream's messages; default: one
	texts   bool     // compare the status' message, too
	without []string // header keys that may differ
	races   bool     // both sides end the RPC at the same time: who was first shows in the metadata
}

// notes is what a handler saw.
type notes struct{ lines []string }

func (n *notes) add(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func TestServerBehavesLikeGrpcGo(t *testing.T) {
	detailed, err := status.New(codes.FailedPrecondition, "ünfit").WithDetails(&errdetails.ErrorInfo{Reason: "why"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []parityCase{
		{name: "plain", unary: noted(echo)},
		{name: "header and trailer", unary: func(ctx context.Context, n *notes, in *text) (*text, error) {
			n.add("set %v", grpc.SetHeader(ctx, metadata.Pairs("a", "1", "b-bin", "\x00\xff")))
			n.add("set %v", grpc.SetHeader(ctx, metadata.Pairs("a", "2")))
			n.add("trailer %v", grpc.SetTrailer(ctx, metadata.Pairs("t", "1", "t-bin", "\x01")))
			n.add("trailer %v", grpc.SetTrailer(ctx, metadata.Pairs("t", "2")))
			return in, nil
		}},
		{name: "header sent early", unary: func(ctx context.Context, n *notes, in *text) (*text, error) {
			n.add("set %v", grpc.SetHeader(ctx, metadata.Pairs("a", "1")))
			n.add("send %v", grpc.SendHeader(ctx, metadata.Pairs("a", "2")))
			n.add("again %v", status.Code(grpc.SendHeader(ctx, metadata.Pairs("a", "3"))))
			n.add("set %v", status.Code(grpc.SetHeader(ctx, metadata.Pairs("a", "4"))))
			return in, nil
		}},
		{name: "header and error", unary: func(ctx context.Context, _ *notes, _ *text) (*text, error) {
			_ = grpc.SetHeader(ctx, metadata.Pairs("a", "1"))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))
			return nil, status.Error(codes.Aborted, "no: \n % é")
		}, texts: true},
		{name: "plain error", unary: fails(errors.New("broken")), texts: true},
		{name: "status with details", unary: fails(detailed.Err()), texts: true},
		{name: "wrapped status", unary: fails(fmt.Errorf("outer: %w", status.Error(codes.NotFound, "inner"))), texts: true},
		{name: "context error", unary: fails(context.DeadlineExceeded)},
		{name: "unknown method", path: absentPath, texts: true},
		{name: "unknown service", path: "/no.Such/Method", texts: true},
		{name: "malformed method", path: "/nothing"},
		{name: "context", unary: aboutContext},
		{name: "incoming metadata", unary: func(ctx context.Context, n *notes, in *text) (*text, error) {
			md, ok := metadata.FromIncomingContext(ctx)
			md = md.Copy()
			md.Delete(":authority") // its port differs
			n.add("%v %v", ok, md)
			return in, nil
		}, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return metadata.AppendToOutgoingContext(ctx, "k", "1", "k", "2", "bin-bin", "\x00\x01"), nil
		}},
		{name: "deadline", races: true, unary: untilDone, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}},
		{name: "gzip answers gzip", unary: noted(echo), opts: []grpc.CallOption{grpc.UseCompressor("gzip")}, without: []string{"grpc-encoding"}},
		{
			name: "request too large", unary: func(_ context.Context, _ *notes, in *text) (*text, error) { return in, nil },
			send: []string{strings.Repeat("x", 5<<20)},
		},
		{name: "response too large for the client", unary: func(context.Context, *notes, *text) (*text, error) {
			return wrapperspb.String(strings.Repeat("x", 5<<20)), nil
		}},
		{name: "stream echo", path: bidiPath, stream: noteStream(echoStream), send: []string{"a", "b", "", "c"}},
		{name: "stream that says nothing", path: bidiPath, stream: func(*notes, grpc.ServerStream) error { return nil }},
		{name: "stream trailer", path: bidiPath, stream: func(_ *notes, ss grpc.ServerStream) error {
			ss.SetTrailer(metadata.Pairs("t", "1"))
			return status.Error(codes.OutOfRange, "end")
		}, texts: true},
		{name: "stream header before messages", path: bidiPath, stream: func(n *notes, ss grpc.ServerStream) error {
			n.add("%v", ss.SetHeader(metadata.Pairs("a", "1")))
			n.add("%v", ss.SendMsg(wrapperspb.String("x")))
			n.add("%v", status.Code(ss.SetHeader(metadata.Pairs("a", "2"))))
			n.add("%v", status.Code(ss.SendHeader(metadata.Pairs("a", "3"))))
			return nil
		}},
		{name: "stream without end", path: bidiPath, stream: func(n *notes, ss grpc.ServerStream) error {
			err := ss.RecvMsg(new(text))
			for err == nil {
				err = ss.RecvMsg(new(text))
			}
			n.add("%v %v", status.Code(err), errors.Is(err, io.EOF))
			n.add("%v", errors.Is(ss.RecvMsg(new(text)), io.EOF))
			return nil
		}, send: []string{"1", "2"}},
		{name: "down", path: downPath, stream: func(n *notes, ss grpc.ServerStream) error {
			in := new(text)
			n.add("%v %v", ss.RecvMsg(in), in.GetValue())
			for i := range 3 {
				if err := ss.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "up", path: upPath, stream: func(_ *notes, ss grpc.ServerStream) error {
			n := 0
			for ss.RecvMsg(new(text)) == nil {
				n++
			}
			return ss.SendMsg(wrapperspb.String(fmt.Sprint(n)))
		}, send: []string{"1", "2", "3"}},
		{name: "stream message too large", path: bidiPath, stream: func(n *notes, ss grpc.ServerStream) error {
			n.add("%v", status.Code(ss.RecvMsg(new(text))))
			return nil // the client must not see success
		}, send: []string{strings.Repeat("x", 5<<20)}},
		{name: "stream deadline", races: true, path: bidiPath, stream: func(_ *notes, ss grpc.ServerStream) error {
			_ = ss.RecvMsg(new(text))
			<-ss.Context().Done()
			return status.FromContextError(context.DeadlineExceeded).Err() // the client's reset may have come first
		}, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			theirs := tc.run(t, grpc.NewServer())
			ours := tc.run(t, newSystem(t).NewServer())
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("-grpc-go +callboard:\n%s", diff)
			}
		})
	}
}

func (tc *parityCase) run(t *testing.T, srv server) *seen {
	n, handled := &notes{}, make(chan struct{}, 1)
	s := playbook{
		unary: func(ctx context.Context, in *text) (*text, error) {
			defer func() { handled <- struct{}{} }()
			return tc.unary(ctx, n, in)
		},
		stream: func(_ any, ss grpc.ServerStream) error {
			defer func() { handled <- struct{}{} }()
			return tc.stream(n, ss)
		},
	}
	cc := dialTheirs(t, s.start(t, srv))
	ctx := soon(t)
	if tc.ctx != nil {
		var cancel context.CancelFunc
		if ctx, cancel = tc.ctx(ctx); cancel != nil {
			defer cancel()
		}
	}
	send := tc.send
	if send == nil {
		send = []string{"hello"}
	}
	got := &seen{}
	var err error
	if tc.stream == nil {
		err = got.callUnary(ctx, cc, tc, send[0])
	} else {
		err = got.callStream(ctx, cc, tc, send)
	}
	st := status.Convert(err)
	got.Code, got.Details = st.Code(), len(st.Details())
	if tc.texts {
		got.Message = st.Message()
	}
	if tc.races {
		got.Header, got.Trailer = nil, nil
	}
	for _, k := range tc.without {
		got.Header.Delete(k)
	}
	if tc.stream != nil || tc.unary != nil && len(send[0]) < 4<<20 {
		<-handled
	}
	got.Handler = n.lines
	return got
}

func (o *seen) callUnary(ctx context.Context, cc *grpc.ClientConn, tc *parityCase, in string) error {
	path := tc.path
	if path == "" {
		path = unaryPath
	}
	out := new(text)
	opts := append([]grpc.CallOption{grpc.Header(&o.Header), grpc.Trailer(&o.Trailer)}, tc.opts...)
	err := cc.Invoke(ctx, path, wrapperspb.String(in), out, opts...)
	if err == nil {
		o.Replies = append(o.Replies, fmt.Sprint(len(out.GetValue())))
	}
	return err
}

func (o *seen) callStream(ctx context.Context, cc *grpc.ClientConn, tc *parityCase, send []string) error {
	desc := map[string]*grpc.StreamDesc{upPath: upDesc, downPath: downDesc, bidiPath: bidiDesc}[tc.path]
	cs, err := cc.NewStream(ctx, desc, tc.path, tc.opts...)
	if err != nil {
		return err
	}
	for _, m := range send {
		if err := cs.SendMsg(wrapperspb.String(m)); err != nil {
			break
		}
	}
	_ = cs.CloseSend()
	for {
		out := new(text)
		if err = cs.RecvMsg(out); err != nil {
			break
		}
		o.Replies = append(o.Replies, out.GetValue())
		if !desc.ServerStreams {
			break
		}
	}
	o.Header, _ = cs.Header()
	o.Trailer = cs.Trailer()
	return eofIsNil(err)
}

func noted(h func(context.Context, *text) (*text, error)) func(context.Context, *notes, *text) (*text, error) {
	return func(ctx context.Context, _ *notes, in *text) (*text, error) { return h(ctx, in) }
}

func noteStream(h grpc.StreamHandler) func(*notes, grpc.ServerStream) error {
	return func(_ *notes, ss grpc.ServerStream) error { return h(nil, ss) }
}

func fails(err error) func(context.Context, *notes, *text) (*text, error) {
	return func(context.Context, *notes, *text) (*text, error) { return nil, err }
}

func aboutContext(ctx context.Context, n *notes, in *text) (*text, error) {
	m, ok := grpc.Method(ctx)
	n.add("method %s %v", m, ok)
	n.add("stream %v", grpc.ServerTransportStreamFromContext(ctx).Method())
	p, ok := peer.FromContext(ctx)
	n.add("peer %v %s %s %v", ok, p.Addr.Network(), p.LocalAddr.Network(), p.AuthInfo)
	d, ok := ctx.Deadline()
	n.add("deadline %v %v", ok, time.Until(d).Round(time.Second))
	n.add("err %v, cause %v, value %v", ctx.Err(), context.Cause(ctx), ctx.Value("nobody's"))
	_, ok = metadata.FromOutgoingContext(ctx)
	n.add("outgoing %v", ok)
	return in, nil
}

func untilDone(ctx context.Context, n *notes, _ *text) (*text, error) {
	<-ctx.Done()
	n.add("%v", ctx.Err() == context.Cause(ctx))
	return nil, status.FromContextError(context.DeadlineExceeded).Err() // the client's reset may have come first
}
