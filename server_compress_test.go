package callboard_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// encodings returns the compressors of the responses that a client sees.
func encodings(seen *[]string) grpc.DialOption {
	l := newStatsLog()
	l.see = func(ev stats.RPCStats) {
		if h, ok := ev.(*stats.InHeader); ok {
			*seen = append(*seen, h.Compression)
		}
	}
	return grpc.WithStatsHandler(l)
}

func TestResponsesAreCompressed(t *testing.T) {
	long := strings.Repeat("x", 1000)
	set := func(name string, want codes.Code) func(context.Context, *text) (*text, error) {
		return func(ctx context.Context, _ *text) (*text, error) {
			if err := callboard.SetSendCompressor(ctx, name); (err == nil) != (want == codes.OK) {
				t.Errorf("SetSendCompressor(%q): %v", name, err)
			}
			return wrapperspb.String(long), nil
		}
	}
	tests := map[string]struct {
		unary func(context.Context, *text) (*text, error)
		opts  []grpc.CallOption
		want  string
	}{
		"as the request":  {echo, []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, gzip.Name},
		"not at all":      {echo, nil, ""},
		"as the handler":  {set(gzip.Name, codes.OK), nil, gzip.Name},
		"plain by choice": {set(encoding.Identity, codes.OK), []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, ""},
		"unknown":         {set("nothing", codes.Unknown), nil, ""},
		"too late": {func(ctx context.Context, in *text) (*text, error) {
			_ = grpc.SendHeader(ctx, nil)
			if callboard.SetSendCompressor(ctx, gzip.Name) == nil {
				t.Error("the header was sent")
			}
			return in, nil
		}, nil, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var seen []string
			cc := dialTheirs(t, playbook{unary: tc.unary}.start(t, newSystem(t).NewServer()), encodings(&seen))
			out := new(text)
			if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(long), out, tc.opts...); err != nil {
				t.Fatal(err)
			}
			if out.GetValue() != long || !slices.Equal(seen, []string{tc.want}) {
				t.Errorf("%d octets with compressor %q, want %q", len(out.GetValue()), seen, tc.want)
			}
		})
	}
}

func TestClientSupportedCompressors(t *testing.T) {
	cc := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		names, err := callboard.ClientSupportedCompressors(ctx)
		if diff := cmp.Diff([]string{gzip.Name}, names); diff != "" || err != nil {
			t.Error(err, diff)
		}
		return in, nil
	}}.ours(t)
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := callboard.ClientSupportedCompressors(context.Background()); err == nil {
		t.Error("no error outside of a handler")
	}
	if err := callboard.SetSendCompressor(context.Background(), gzip.Name); err == nil {
		t.Error("no error outside of a handler")
	}
}

// oneSided is a compressor that only the client has: it is taken out of the
// registry's way by its legacy form.
type oneSided struct{ grpc.Compressor }

func (oneSided) Type() string { return "one-sided" }

func TestUnknownCompressorIsUnimplemented(t *testing.T) {
	addr := playbook{unary: echo}.start(t, newSystem(t).NewServer())
	cc := dialTheirs(t, addr, grpc.WithCompressor(oneSided{grpc.NewGZIPCompressor()})) //nolint:staticcheck // deprecated in grpc-go, still honoured
	err := cc.Invoke(soon(t), unaryPath, wrapperspb.String("x"), new(text))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("%v, want Unimplemented", err)
	}
}

type oneSidedBack struct{ grpc.Decompressor }

func (oneSidedBack) Type() string { return "one-sided" }

func TestLegacyCompressors(t *testing.T) {
	//nolint:staticcheck // deprecated in grpc-go, still honoured
	addr := playbook{unary: echo, stream: echoStream}.start(t, newSystem(t).NewServer(
		callboard.RPCCompressor(oneSided{grpc.NewGZIPCompressor()}),
		callboard.RPCDecompressor(oneSidedBack{grpc.NewGZIPDecompressor()})))
	//nolint:staticcheck // deprecated in grpc-go, still honoured
	cc := dialTheirs(t, addr, grpc.WithCompressor(oneSided{grpc.NewGZIPCompressor()}),
		grpc.WithDecompressor(oneSidedBack{grpc.NewGZIPDecompressor()}))
	out := new(text)
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String("hi"), out); err != nil || out.GetValue() != "hi" {
		t.Errorf("%q, %v", out.GetValue(), err)
	}
	if got := pingPong(t, cc, bidiPath, "1", "2"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%q", got)
	}
}

func TestPreparedMsg(t *testing.T) {
	cc := playbook{stream: func(_ any, ss grpc.ServerStream) error {
		if err := ss.SendMsg(new(callboard.PreparedMsg)); status.Code(err) != codes.Internal {
			t.Errorf("an empty PreparedMsg: %v", err)
		}
		return nil
	}}.ours(t)
	if code := streamCode(t, cc); code != codes.Internal {
		t.Errorf("%v: what SendMsg refused is the RPC's status", code)
	}
	for _, wrapped := range []bool{false, true} {
		cc := playbook{stream: func(_ any, ss grpc.ServerStream) error {
			if wrapped {
				ss = struct{ grpc.ServerStream }{ss}
			}
			p := new(callboard.PreparedMsg)
			if err := p.Encode(ss, wrapperspb.String("again")); err != nil {
				return err
			}
			for range 3 {
				if err := ss.SendMsg(p); err != nil {
					return err
				}
			}
			return nil
		}}.ours(t)
		cs, err := cc.NewStream(soon(t), downDesc, downPath, grpc.UseCompressor(gzip.Name))
		if err != nil {
			t.Fatal(err)
		}
		_ = cs.SendMsg(wrapperspb.String("x"))
		_ = cs.CloseSend()
		for range 3 {
			out := new(text)
			if err := cs.RecvMsg(out); err != nil || out.GetValue() != "again" {
				t.Errorf("%q, %v", out.GetValue(), err)
			}
		}
		if err := eofIsNil(cs.RecvMsg(new(text))); err != nil {
			t.Error(err)
		}
	}
}
