package safety_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// Panics in user code end the RPC they happen in.
func TestPanicsAreContained(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(crash)...)
	p.DataEnd(1, payload(t, 1))
	p.ExpectTrailers(1, codes.Internal)
	p.Headers(3, testpeer.Request(crashes)...)
	p.Data(3, payload(t, 1))
	p.ExpectTrailers(3, codes.Internal)
	alive(t, p, 5)

	t.Run("interceptor", func(t *testing.T) {
		s := serve(t,
			callboard.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { panic("u") }),
			callboard.StreamInterceptor(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { panic("s") }))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.Headers(1, testpeer.Request(echo)...)
		p.DataEnd(1, payload(t, 1))
		p.ExpectTrailers(1, codes.Internal)
		p.Headers(3, testpeer.Request(sink)...)
		p.ExpectTrailers(3, codes.Internal)
		p.ExpectAlive()
	})
	t.Run("codec", func(t *testing.T) {
		s := serve(t, callboard.ForceServerCodec(panickyCodec{}))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		for i, path := range []string{echo, sink} {
			p.Headers(odd(i), testpeer.Request(path)...)
			p.DataEnd(odd(i), payload(t, 1))
			p.ExpectTrailers(odd(i), codes.Internal)
		}
		p.ExpectAlive()
	})
	for _, where := range []string{"TagRPC", "HandleRPC", "TagConn", "HandleConn"} {
		t.Run("stats handler's "+where, func(t *testing.T) {
			s := serve(t, callboard.StatsHandler(panickyStats(where)))
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			p.Headers(1, testpeer.Request(echo)...)
			p.DataEnd(1, payload(t, 1))
			want := codes.Internal
			if where == "TagConn" || where == "HandleConn" {
				want = codes.OK
			}
			p.ExpectTrailers(1, want)
			p.ExpectAlive()
		})
	}
	t.Run("tap", func(t *testing.T) {
		s := serve(t, callboard.InTapHandle(panickyTap))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.Headers(1, testpeer.Request(echo)...)
		p.DataEnd(1, payload(t, 1))
		p.ExpectTrailers(1, codes.Internal)
		p.ExpectAlive()
	})
	t.Run("a handler that ends its goroutine", func(t *testing.T) {
		s := serve(t, callboard.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			goexit()
			return nil, nil
		}))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.Headers(1, testpeer.Request(echo)...)
		p.DataEnd(1, payload(t, 1))
		p.ExpectTrailers(1, codes.Internal)
		p.ExpectAlive()
	})
}
