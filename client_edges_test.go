package callboard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/interop"
)

// token is per-RPC credentials.
type token struct {
	value string
	err   error
}

func (c token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"Authorization": c.value}, c.err
}

func (token) RequireTransportSecurity() bool { return false }

var _ credentials.PerRPCCredentials = token{}

// renamed is the proto codec by another name.
type renamed struct {
	codecV1
	name string
}

func (r renamed) Name() string { return r.name }

// codecV1 is the proto codec of the first kind.
type codecV1 struct{}

func (codecV1) Marshal(v any) ([]byte, error)   { return proto.Marshal(v.(proto.Message)) }
func (codecV1) Unmarshal(b []byte, v any) error { return proto.Unmarshal(b, v.(proto.Message)) }

func code(err error) string { return status.Code(err).String() }

func sent(cc grpc.ClientConnInterface, ctx context.Context, opts ...grpc.CallOption) error { //nolint:revive // the test's subject first
	return cc.Invoke(ctx, unaryPath, wrapperspb.String("hello"), new(text), opts...)
}

// What a program sees of a client at the edges of its options is what it sees
// of grpc-go's.
func TestClientEdgesAreGrpcGos(t *testing.T) {
	var mu sync.Mutex
	var last metadata.MD // of the newest request
	note := func(ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		last, _ = metadata.FromIncomingContext(ctx)
	}
	got := func(key string) string {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Sprint(last[key])
	}
	long := make([]byte, 5<<20)
	for i := range long {
		long[i] = 'a'
	}
	service := playbook{
		unary: func(ctx context.Context, in *text) (*text, error) {
			note(ctx)
			if in.Value == "long" {
				return wrapperspb.String(string(long)), nil
			}
			return in, nil
		},
		stream: func(_ any, ss grpc.ServerStream) error {
			note(ss.Context())
			if m, _ := grpc.Method(ss.Context()); m == upPath {
				return eofIsNil(ss.RecvMsg(new(text))) // no answer
			}
			in := new(text)
			if err := ss.RecvMsg(in); err != nil {
				return eofIsNil(err)
			}
			if in.Value == "fail" {
				return status.Error(codes.Aborted, "")
			}
			return ss.SendMsg(in)
		},
	}
	addr := service.start(t, grpc.NewServer())
	gz := grpc.NewGZIPCompressor() //nolint:staticcheck // deprecated, still honoured
	tests := map[string]struct {
		theirs []grpc.DialOption
		ours   []callboard.DialOption
		run    func(cc grpc.ClientConnInterface) []string
	}{
		"authority without anybody to vouch": {run: func(cc grpc.ClientConnInterface) []string {
			return []string{code(sent(cc, soon(t), grpc.CallAuthority("other.example")))}
		}},
		"the last credentials count": {
			theirs: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.PerRPCCredentials(token{value: "a"}))},
			ours:   []callboard.DialOption{callboard.WithDefaultCallOptions(grpc.PerRPCCredentials(token{value: "a"}))},
			run: func(cc grpc.ClientConnInterface) []string {
				return []string{code(sent(cc, soon(t), grpc.PerRPCCredentials(token{value: "b"}))), got("authorization")}
			},
		},
		"credentials that fail": {run: func(cc grpc.ClientConnInterface) []string {
			return []string{
				code(sent(cc, soon(t), grpc.PerRPCCredentials(token{err: errors.New("x")}))),
				code(sent(cc, soon(t), grpc.PerRPCCredentials(token{err: status.Error(codes.PermissionDenied, "")}))),
				code(sent(cc, soon(t), grpc.PerRPCCredentials(token{err: status.Error(codes.NotFound, "")}))),
				code(sent(cc, soon(t), grpc.PerRPCCredentials(token{value: "two\nlines"}))),
			}
		}},
		"channel credentials that fail": {
			theirs: []grpc.DialOption{grpc.WithPerRPCCredentials(token{err: errors.New("x")})},
			ours:   []callboard.DialOption{callboard.WithPerRPCCredentials(token{err: errors.New("x")})},
			run:    func(cc grpc.ClientConnInterface) []string { return []string{code(sent(cc, soon(t)))} },
		},
		"the last forced codec names the subtype": {
			theirs: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodec(renamed{name: "proto"}))},
			ours:   []callboard.DialOption{callboard.WithDefaultCallOptions(grpc.ForceCodec(renamed{name: "proto"}))},
			run: func(cc grpc.ClientConnInterface) []string {
				_ = sent(cc, soon(t), grpc.ForceCodec(renamed{name: "Other"}))
				return []string{got("content-type")}
			},
		},
		"a limit of the service config above the default": {
			theirs: []grpc.DialOption{grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"maxResponseMessageBytes":10000000}]}`)},
			ours:   []callboard.DialOption{callboard.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"maxResponseMessageBytes":10000000}]}`)},
			run: func(cc grpc.ClientConnInterface) []string {
				big := func(opts ...grpc.CallOption) string {
					return code(cc.Invoke(soon(t), unaryPath, wrapperspb.String("long"), new(text), opts...))
				}
				return []string{big(), big(grpc.MaxCallRecvMsgSize(1 << 10)), big(grpc.MaxCallRecvMsgSize(1 << 30))}
			},
		},
		"wait-for-ready of the service config gives way to the call's": {
			theirs: []grpc.DialOption{grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"waitForReady":true,"timeout":"-1s"}]}`)},
			ours:   []callboard.DialOption{callboard.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"waitForReady":true,"timeout":"-1s"}]}`)},
			run: func(cc grpc.ClientConnInterface) []string {
				return []string{code(sent(cc, soon(t))), code(sent(cc, soon(t), grpc.WaitForReady(false)))}
			},
		},
		"the channel's compressor": {
			theirs: []grpc.DialOption{grpc.WithCompressor(gz)}, //nolint:staticcheck // deprecated, still honoured
			ours:   []callboard.DialOption{callboard.WithCompressor(gz)},
			run: func(cc grpc.ClientConnInterface) (seen []string) {
				seen = append(seen, code(sent(cc, soon(t))), got("grpc-encoding"))
				return append(seen, code(sent(cc, soon(t), grpc.UseCompressor(gzip.Name))))
			},
		},
		"OnFinish of a call that never began": {run: func(cc grpc.ClientConnInterface) (seen []string) {
			finished := grpc.OnFinish(func(err error) { seen = append(seen, "finished "+code(err)) })
			_ = sent(cc, soon(t), grpc.UseCompressor("nope"), finished)
			_, err := cc.NewStream(soon(t), bidiDesc, bidiPath, grpc.CallContentSubtype("nope"), finished)
			return append(seen, code(err))
		}},
		"a stream without headers": {run: func(cc grpc.ClientConnInterface) []string {
			st := begun(t, cc, downDesc, downPath, "fail")
			md, err := st.Header()
			return []string{fmt.Sprint(md, err), code(st.RecvMsg(new(text))), fmt.Sprint(st.Header())}
		}},
		"a stream's context": {run: func(cc grpc.ClientConnInterface) []string {
			st := begun(t, cc, downDesc, downPath, "x")
			err := st.RecvMsg(new(text))
			p, ok := peer.FromContext(st.Context())
			seen := []string{fmt.Sprint(err, ok, ok && p.Addr.String() == addr, st.Context().Err())}
			err = st.RecvMsg(new(text))
			return append(seen, fmt.Sprint(err, st.Context().Err()))
		}},
		"client streaming without an answer": {run: func(cc grpc.ClientConnInterface) []string {
			var end error
			st, err := cc.NewStream(soon(t), upDesc, upPath, grpc.OnFinish(func(err error) { end = err }))
			if err != nil {
				t.Fatal(err)
			}
			_ = st.CloseSend()
			err = st.RecvMsg(new(text))
			return []string{fmt.Sprint(err == nil, end == nil)}
		}},
		"sending on a server-streaming call that is over": {run: func(cc grpc.ClientConnInterface) []string {
			st, err := cc.NewStream(soon(t), downDesc, absentPath)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = st.Header() // waits for the end
			return []string{fmt.Sprint(st.SendMsg(wrapperspb.String("x"))), code(st.RecvMsg(new(text)))}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bothClients(t, addr, dialEither(t, addr, tt.theirs, tt.ours), tt.run)
		})
	}
}

// begun is a stream that has sent its one message.
func begun(t *testing.T, cc grpc.ClientConnInterface, desc *grpc.StreamDesc, path, msg string) grpc.ClientStream {
	t.Helper()
	st, err := cc.NewStream(soon(t), desc, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SendMsg(wrapperspb.String(msg)); err != nil {
		t.Fatal(err)
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return st
}

// The compressor of WithCompressor works for every message of a stream, and a
// call can do without it.
func TestChannelCompressorOnStreams(t *testing.T) {
	addr := playbook{unary: echo, stream: echoStream}.start(t, grpc.NewServer())
	var sizes []bool // smaller on the wire than in memory
	l := newStatsLog()
	l.see = compressed(&sizes)
	cc := ours(t, addr, callboard.WithStatsHandler(l), callboard.WithCompressor(grpc.NewGZIPCompressor())) //nolint:staticcheck // deprecated, still honoured
	pingPongBytes(t, cc, 2)
	if !slices.Equal(sizes, []bool{true, true}) {
		t.Errorf("compressed: %v", sizes)
	}
	sizes = nil
	pingPongBytes(t, cc, 1, grpc.UseCompressor("identity"))
	if !slices.Equal(sizes, []bool{false}) {
		t.Errorf("a call without: %v", sizes)
	}
}

func pingPongBytes(t *testing.T, cc *callboard.ClientConn, n int, opts ...grpc.CallOption) {
	t.Helper()
	st, err := cc.NewStream(soon(t), bidiDesc, bidiPath, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := st.SendMsg(wrapperspb.String(string(make([]byte, 10_000)))); err != nil {
			t.Fatal(err)
		}
		if err := st.RecvMsg(new(text)); err != nil {
			t.Fatal(err)
		}
	}
	_ = st.CloseSend()
	if err := st.RecvMsg(new(text)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func ours(t *testing.T, target string, opts ...callboard.DialOption) *callboard.ClientConn {
	t.Helper()
	cc, err := newSystem(t).NewClient(target, append(opts, callboard.WithInsecure())...)
	if err != nil {
		t.Fatal(err)
	}
	return cc
}

// A dialer gets the address as grpc-go's does.
func TestDialerSeesGrpcGosAddress(t *testing.T) {
	for _, target := range []string{"unix:///tmp/x", "unix:rel", "unix-abstract:x", "passthrough:///unix:///tmp/x", "passthrough:///a:1"} {
		seen := make(chan string, 2)
		dial := func(_ context.Context, addr string) (net.Conn, error) {
			select {
			case seen <- addr:
			default:
			}
			return nil, errors.New("no")
		}
		theirs, err := grpc.NewClient(target, grpc.WithInsecure(), grpc.WithContextDialer(dial)) //nolint:staticcheck // short
		if err != nil {
			t.Fatal(err)
		}
		theirs.Connect()
		want := <-seen
		_ = theirs.Close()
		for len(seen) > 0 {
			<-seen
		}
		cc := ours(t, target, callboard.WithContextDialer(dial))
		cc.Connect()
		if got := <-seen; got != want {
			t.Errorf("%s: dialled %q, want %q", target, got, want)
		}
		_ = cc.Close()
	}
}

// An interceptor of a client that was closed before its first call still runs
// into the right status.
func TestInterceptedCallAfterClose(t *testing.T) {
	through := func(ctx context.Context, m string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return next(ctx, m, req, reply, cc, opts...)
	}
	cc := ours(t, "passthrough:///x", callboard.WithUnaryInterceptor(through))
	_ = cc.Close()
	if err := sent(cc, soon(t)); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}

// The connection that interceptors get has the channel's target.
func TestConcreteConnHasTheTarget(t *testing.T) {
	for _, target := range []string{"localhost:1", "dns:///localhost:1", "passthrough:///x", "unix:///tmp/x"} {
		cc := ours(t, target)
		g, err := cc.GRPC()
		if err != nil {
			t.Fatal(err)
		}
		if g.Target() != target || g.CanonicalTarget() != cc.CanonicalTarget() {
			t.Errorf("%s: %q, %q", target, g.Target(), g.CanonicalTarget())
		}
	}
}

// compressed notes of each message sent whether it is smaller on the wire.
func compressed(sizes *[]bool) func(stats.RPCStats) {
	return func(ev stats.RPCStats) {
		if out, ok := ev.(*stats.OutPayload); ok {
			*sizes = append(*sizes, out.CompressedLength < out.Length)
		}
	}
}

// A call may take another authority only where the connection's certificate
// vouches for it.
func TestCallAuthorityOverTLS(t *testing.T) {
	id, err := interop.ServerIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := interop.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	addr := playbook{unary: echo}.start(t, grpc.NewServer(grpc.Creds(interop.ServerTLS(id, nil))))
	creds := interop.ClientTLS(roots, testServerName)
	codes := func(cc closingConn, err error) (got []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cc.Close() }()
		for _, name := range []string{testServerName, "bar.test.google.fr", "other.example"} {
			got = append(got, name+" "+code(sent(cc, soon(t), grpc.CallAuthority(name))))
		}
		return got
	}
	g, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	want := codes(g, err)
	c, err := newSystem(t).NewClient(addr, callboard.WithTransportCredentials(creds))
	if diff := cmp.Diff(want, codes(c, err)); diff != "" {
		t.Errorf("-grpc-go +callboard:\n%s", diff)
	}
}
