package safety_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// client is a callboard client in a system of its own.
type client struct {
	t   testing.TB
	sys *callboard.System
	cc  *callboard.ClientConn
}

// call makes a client of addr. When the test ends nothing of it may be left.
func call(t testing.TB, addr string, opts ...callboard.DialOption) *client {
	t.Helper()
	c := &client{t: t, sys: system(t)}
	cc, err := c.sys.NewClient("passthrough:///"+addr, append([]callboard.DialOption{
		callboard.WithTransportCredentials(insecure.NewCredentials()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	c.cc = cc
	t.Cleanup(func() {
		if !eventually(func() bool { return count(c.sys, "conn") <= 1 }) {
			t.Errorf("old connections are left\n%v", c.sys.Inspect())
		}
		_ = cc.Close()
	})
	return c
}

// deadline is a context that ends a call long after the test should have.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*soon)
	t.Cleanup(cancel)
	return ctx
}

// echo does a unary call.
func (c *client) echo(ctx context.Context, opts ...grpc.CallOption) error {
	return c.cc.Invoke(ctx, echo, wrapperspb.Bytes([]byte("hello")), new(bytesValue), opts...)
}

// invoke begins a unary call with a request of about n octets.
func (c *client) invoke(ctx context.Context, n int) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- c.cc.Invoke(ctx, echo, wrapperspb.Bytes(make([]byte, n)), new(bytesValue)) }()
	return ended
}

// start begins a unary call on a goroutine; the result comes in the channel.
func (c *client) start(ctx context.Context, opts ...grpc.CallOption) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- c.echo(ctx, opts...) }()
	return ended
}

// stream begins a streaming call.
func (c *client) stream(ctx context.Context, path string, opts ...grpc.CallOption) grpc.ClientStream {
	c.t.Helper()
	cs, err := c.cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path, opts...)
	if err != nil {
		c.t.Fatal(err)
	}
	return cs
}

// drain receives until the end.
func drain(cs grpc.ClientStream) (messages []string, err error) {
	for {
		m := new(bytesValue)
		if err := cs.RecvMsg(m); err != nil {
			if err == io.EOF {
				err = nil
			}
			return messages, err
		}
		messages = append(messages, string(m.GetValue()))
	}
}

// within waits for the result of a call.
func within(t testing.TB, ended <-chan error, d time.Duration) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(d):
		t.Fatalf("the call did not end within %v", d)
		return nil
	}
}

// wants holds an error against a code and pieces of its text.
func wants(t testing.TB, err error, code codes.Code, texts ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %v", err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if err != nil && strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
		t.Errorf("control characters in %q", err)
	}
}

// reply answers a unary call well.
func reply(t testing.TB, p *testpeer.Peer, id uint32) {
	t.Helper()
	p.Headers(id, testpeer.Response()...)
	p.Data(id, payload(t, 3))
	p.Trailers(id, codes.OK, "")
}

// serveAll answers every call until the connection ends.
func serveAll(t testing.TB, n int) func(p *testpeer.Peer) {
	return func(p *testpeer.Peer) {
		p.Handshake()
		for range n {
			reply(t, p, p.ExpectRequest().ID)
		}
	}
}

func grpcCode(err error) codes.Code { return status.Code(err) }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func withMetadata(ctx context.Context, kv ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, kv...)
}

// scripts serves one connection after the other, each with a script of its own.
// The channel closes with the last.
func scripts(l *testpeer.Listener, each ...func(p *testpeer.Peer)) <-chan struct{} {
	done := make(chan struct{})
	var serve func(i int)
	serve = func(i int) {
		l.Script(func(p *testpeer.Peer) {
			if i+1 < len(each) {
				serve(i + 1) // only now: two that wait would be served in any order
			} else {
				defer close(done)
			}
			each[i](p)
		})
	}
	serve(0)
	return done
}
