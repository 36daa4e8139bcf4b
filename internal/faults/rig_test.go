package faults_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
)

// ample bounds everything that has no limit of its own, on a machine that has
// other things to do.
const ample = 30 * time.Second

// quickly reconnects at once, more or less.
var quickly = callboard.WithConnectParams(callboard.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 50 * time.Millisecond},
	MinConnectTimeout: 5 * time.Second,
})

// less makes a test smaller with -short.
func less(n, short int) int {
	if testing.Short() {
		return short
	}
	return n
}

// system is a callboard system of which nothing may be left after the test.
func system(t testing.TB) *callboard.System {
	t.Helper()
	sys, err := callboard.NewSystem(callboard.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), ample)
		defer cancel()
		if err := sys.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v\n%v", err, sys.Inspect())
		}
		if n := sys.Inspect().Actors; n > 0 {
			t.Errorf("%d actors are left\n%v", n, sys.Inspect())
		}
	})
	return sys
}

// client makes a channel in a system of its own. When the test ends its drained
// connections have to be gone, and with it its streams.
func client(t testing.TB, target string, opts ...callboard.DialOption) (*callboard.ClientConn, *callboard.System) {
	t.Helper()
	sys := system(t)
	cc, err := sys.NewClient(target, append([]callboard.DialOption{
		callboard.WithTransportCredentials(insecure.NewCredentials()), quickly,
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if n := actorsOf(sys, "stream"); n > 0 {
			t.Errorf("%d streams are left\n%v", n, sys.Inspect())
		}
	})
	return cc, sys
}

// actorsOf counts a system's actors of one kind.
func actorsOf(sys *callboard.System, kind string) (n int) {
	sys.Inspect().Walk(func(_ int, a *inspect.Node) bool {
		if a.Kind == kind {
			n++
		}
		return true
	})
	return n
}

// server is what both libraries' servers have in common.
type server interface {
	RegisterService(*grpc.ServiceDesc, any)
	Serve(net.Listener) error
	Stop()
	GracefulStop()
}

// kinds are the servers that a client has to get on with.
var kinds = []string{"callboard", "grpc-go"}

// limits are the options that tests give to servers.
type limits struct {
	streams   uint32
	keepalive keepalive.ServerParameters
}

// newServer makes a server that waits for its handlers when it stops.
func newServer(sys *callboard.System, kind string, l limits) server {
	if kind == "grpc-go" {
		opts := []grpc.ServerOption{grpc.WaitForHandlers(true), grpc.KeepaliveParams(l.keepalive)}
		if l.streams > 0 {
			opts = append(opts, grpc.MaxConcurrentStreams(l.streams))
		}
		return grpc.NewServer(opts...)
	}
	return sys.NewServer(callboard.WaitForHandlers(true), callboard.KeepaliveParams(l.keepalive),
		callboard.MaxConcurrentStreams(l.streams))
}

// life is a server from its start to its end; the port it listens on survives
// it.
type life struct {
	server
	*backend
	sys   *callboard.System
	addr  string
	ended chan error
}

// serve starts a server, in a system of its own if it is one of ours. Its
// listener may be one of the test's.
func serve(t testing.TB, lis net.Listener, kind string, l limits, b *backend) *life {
	t.Helper()
	sys := system(t)
	f := &life{server: newServer(sys, kind, l), backend: b, sys: sys, addr: lis.Addr().String(), ended: make(chan error, 1)}
	f.RegisterService(b.desc(), nil)
	go func() { f.ended <- f.Serve(lis) }()
	return f
}

// kill ends the server with all its connections.
func (f *life) kill(t testing.TB) {
	t.Helper()
	f.stop(t, f.Stop)
}

// retire ends the server gently.
func (f *life) retire(t testing.TB) {
	t.Helper()
	f.release()
	f.stop(t, f.GracefulStop)
}

func (f *life) stop(t testing.TB, how func()) {
	t.Helper()
	stopped := make(chan struct{})
	go func() { how(); close(stopped) }()
	select {
	case <-stopped:
		f.over(t)
	case <-time.After(ample):
		tree := f.sys.Inspect()
		t.Errorf("a server does not stop: %d handlers run\n%v", f.running.Load(), tree)
		tree.Walk(func(_ int, a *inspect.Node) bool {
			t.Logf("%s: %+v", a.Path, a.Detail)
			return true
		})
	}
}

func (f *life) over(t testing.TB) {
	t.Helper()
	if err := <-f.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := f.running.Load(); n != 0 {
		t.Errorf("%d handlers run on a server that has stopped", n)
	}
}

// start runs a server of a kind until the test ends.
func start(t testing.TB, kind string, l limits, b *backend) *life {
	t.Helper()
	f := serve(t, listen(t, "127.0.0.1:0"), kind, l, b)
	t.Cleanup(func() { f.kill(t) })
	return f
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// port finds one below those that the system gives to clients, so that nobody
// takes it while its server is down.
func port(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if lis, err := net.Listen("tcp", addr); err == nil {
			_ = lis.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// eventually polls until ok is true or a generous time is over.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(ample)
	for {
		if ok() {
			return true
		}
		select {
		case <-tick.C:
		case <-limit:
			return false
		}
	}
}

// comesTo fails the test unless ok becomes true.
func comesTo(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !eventually(ok) {
		t.Fatalf("%s: it does not come to that", what)
	}
}

// patient is a context that no call should outlive.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), ample)
	t.Cleanup(cancel)
	return ctx
}

// countingListener counts the connections that came, and those there are.
type countingListener struct {
	net.Listener
	mu        sync.Mutex
	came, are int
	most      int
}

func counting(lis net.Listener) *countingListener { return &countingListener{Listener: lis} }

func (c *countingListener) Accept() (net.Conn, error) {
	nc, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.came++
	c.are++
	c.most = max(c.most, c.are)
	c.mu.Unlock()
	return &counted{Conn: nc, from: c}, nil
}

// seen are the connections that came, and the most at a time.
func (c *countingListener) seen() (came, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.came, c.most
}

type counted struct {
	net.Conn
	from *countingListener
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.from.mu.Lock()
		c.from.are--
		c.from.mu.Unlock()
	})
	return c.Conn.Close()
}
