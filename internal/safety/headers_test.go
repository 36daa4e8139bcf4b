package safety_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// watched is a server whose interceptors count what gets as far as them.
func watched(t *testing.T, opts ...callboard.ServerOption) (*server, *atomic.Int64) {
	t.Helper()
	seen := new(atomic.Int64)
	s := serve(t, append(opts,
		callboard.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			seen.Add(1)
			return h(ctx, req)
		}),
		callboard.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			seen.Add(1)
			return h(srv, ss)
		}))...)
	return s, seen
}

// alive shows that a connection still serves.
func alive(t testing.TB, p *testpeer.Peer, id uint32) {
	t.Helper()
	p.Headers(id, testpeer.Request(echo)...)
	p.DataEnd(id, payload(t, 10))
	p.ExpectTrailers(id, codes.OK)
}

// Malformed header blocks are a stream error PROTOCOL_ERROR (RFC 9113 8.1.1):
// no handler, no interceptor, no answer.
func TestMalformedRequests(t *testing.T) {
	good := testpeer.Request(sink)
	for name, fields := range map[string]testpeer.Fields{
		":scheme is missing":              good.Without(":scheme"),
		":path is missing":                good.Without(":path"),
		":method is missing":              good.Without(":method"),
		":path is empty":                  good.Set(":path", ""),
		":path twice":                     good.First(":path", "/a"),
		":method twice":                   good.First(":method", "POST"),
		":scheme twice":                   good.First(":scheme", "http"),
		":authority twice":                good.First(":authority", "a"),
		":status in a request":            good.First(":status", "200"),
		"an unknown pseudo-field":         good.First(":foo", "bar"),
		"a pseudo-field at the end":       good.Without(":path").With(":path", sink),
		"an upper-case name":              good.With("X-Upper", "a"),
		"an empty name":                   good.With("", "a"),
		"a space in a name":               good.With("a b", "c"),
		"CRLF in a name":                  good.With("a\r\nb", "c"),
		"a colon in a name":               good.With("a:b", "c"),
		"CR in a value":                   good.With("a", "b\rc"),
		"LF in a value":                   good.With("a", "b\nc"),
		"NUL in a value":                  good.With("a", "b\x00c"),
		"CRLF in :path":                   good.Set(":path", "/a\r\nb"),
		"CRLF in :authority":              good.Set(":authority", "a\r\nb"),
		"CRLF in user-agent":              good.With("user-agent", "a\r\nb: c"),
		"te of gzip":                      good.Set("te", "gzip"),
		"te of trailers, gzip":            good.Set("te", "trailers, gzip"),
		"connection":                      good.With("connection", "keep-alive"),
		"transfer-encoding":               good.With("transfer-encoding", "chunked"),
		"upgrade":                         good.With("upgrade", "h2c"),
		"keep-alive":                      good.With("keep-alive", "1"),
		"proxy-connection":                good.With("proxy-connection", "close"),
		"content-length is not a number":  good.With("content-length", "x"),
		"content-length is negative":      good.With("content-length", "-1"),
		"two content-lengths":             good.With("content-length", "1").With("content-length", "2"),
		"content-length beyond all":       good.With("content-length", "99999999999999999999999"),
		"content-length of an empty body": good.With("content-length", "5"),
		"CONNECT":                         {{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: "a"}},
		"nothing at all":                  {},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := watched(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			p.Block(1, testpeer.Literal(fields...), true)
			p.ExpectRST(1, http2.ErrCodeProtocol)
			if n := seen.Load(); n != 0 {
				t.Errorf("an interceptor saw %d calls", n)
			}
			alive(t, p, 3)
		})
	}
	t.Run("malformed trailers", func(t *testing.T) {
		s := serve(t)
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		for i, f := range []hpack.HeaderField{{Name: ":path", Value: "/a"}, {Name: "Upper", Value: "a"}, {Name: "a", Value: "b\r\n"}} {
			id := odd(i)
			p.Headers(id, good...)
			p.Block(id, testpeer.Literal(f), true)
			p.ExpectRST(id, http2.ErrCodeProtocol)
		}
		alive(t, p, 101)
	})
}

func TestContentLengthMustFit(t *testing.T) {
	body := payload(t, 100)
	for name, c := range map[string]struct {
		says string
		ok   bool
	}{
		"exact":     {label("%d", len(body)), true},
		"too small": {"50", false},
		"too large": {"5000", false},
		"zero":      {"0", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			p.Headers(1, testpeer.Request(sink).With("content-length", c.says)...)
			p.DataEnd(1, body)
			if c.ok {
				p.ExpectTrailers(1, codes.OK)
			} else {
				p.ExpectRST(1, http2.ErrCodeProtocol)
			}
			alive(t, p, 3)
		})
	}
}

// Requests that HTTP/2 has nothing against, but gRPC has, are answered before
// an interceptor sees them.
func TestRequestsThatAreNotGRPC(t *testing.T) {
	good := testpeer.Request(sink)
	for name, c := range map[string]struct {
		fields testpeer.Fields
		code   codes.Code
		status string // HTTP
	}{
		"path without a slash":          {good.Set(":path", "safety.S/Sink"), codes.Unimplemented, "200"},
		"path of an asterisk":           {good.Set(":path", "*"), codes.Unimplemented, "200"},
		"path with no method":           {good.Set(":path", "/safety.S"), codes.Unimplemented, "200"},
		"path of a slash":               {good.Set(":path", "/"), codes.Unimplemented, "200"},
		"path with two slashes":         {good.Set(":path", "//safety.S/Sink"), codes.Unimplemented, "200"},
		"unknown service":               {good.Set(":path", "/no.Such/Method"), codes.Unimplemented, "200"},
		"unknown method":                {good.Set(":path", "/safety.S/Nope"), codes.Unimplemented, "200"},
		"a long path full of junk":      {good.Set(":path", "/"+strings.Repeat("\xff\"\t%", 500)), codes.Unimplemented, "200"},
		"timeout without a unit":        {good.With("grpc-timeout", "10"), codes.Internal, "400"},
		"timeout of a strange unit":     {good.With("grpc-timeout", "10X"), codes.Internal, "400"},
		"negative timeout":              {good.With("grpc-timeout", "-1S"), codes.Internal, "400"},
		"timeout of nine digits":        {good.With("grpc-timeout", "123456789S"), codes.Internal, "400"},
		"empty timeout":                 {good.With("grpc-timeout", ""), codes.Internal, "400"},
		"two timeouts":                  {good.With("grpc-timeout", "1S").With("grpc-timeout", "2S"), codes.Internal, "400"},
		"GET":                           {good.Set(":method", "GET"), codes.Internal, "405"},
		"a content-type of HTML":        {good.Set("content-type", "text/html"), codes.InvalidArgument, "415"},
		"no content-type":               {good.Without("content-type"), codes.InvalidArgument, "415"},
		"application/grpcx":             {good.Set("content-type", "application/grpcx"), codes.InvalidArgument, "415"},
		"metadata of bad base64":        {good.With("x-bin", "!!!"), codes.Internal, "400"},
		"two hosts, no authority":       {good.Without(":authority").With("host", "a").With("host", "b"), codes.Internal, "400"},
		"no authority, no host":         {good.Without(":authority"), codes.Internal, "400"},
		"unknown compression":           {good.With("grpc-encoding", "snappy-oh"), codes.Unimplemented, "200"},
		"compression full of junk":      {good.With("grpc-encoding", strings.Repeat("\t%", 500)), codes.Unimplemented, "200"},
		"the longest deadline there is": {good.With("grpc-timeout", "99999999H"), codes.OK, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := watched(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			p.Block(1, testpeer.Literal(c.fields...), true)
			a := p.ExpectTrailers(1, c.code)
			status := a.Headers.Get(":status")
			if a.Headers == nil {
				status = a.Trailers.Get(":status")
			}
			if status != c.status {
				t.Errorf("HTTP status %s, want %s", status, c.status)
			}
			if strings.ContainsFunc(a.Message, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
				t.Errorf("the message is not escaped: %q", a.Message)
			}
			if len(a.Message) > 1000 {
				t.Errorf("the message echoes %d octets", len(a.Message))
			}
			if want := c.code == codes.OK; !want && seen.Load() != 0 {
				t.Errorf("an interceptor saw it")
			}
			alive(t, p, 3)
		})
	}
}
