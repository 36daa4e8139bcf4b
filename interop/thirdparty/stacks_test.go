// Package thirdparty_test holds callboard to what code written for grpc-go
// expects of it: interceptors, stats handlers, balancers, services and proxies
// of others, none of them changed. It is a module of its own so that the core
// stays free of them.
package thirdparty_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/callboard-rpc/callboard"
	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/stats"
)

// serverSide is what a test plugs into a server.
type serverSide struct {
	unary   []grpc.UnaryServerInterceptor
	stream  []grpc.StreamServerInterceptor
	stats   stats.Handler
	unknown grpc.StreamHandler
	codec   grpc.Codec          //nolint:staticcheck // proxies still use it
	grpcgo  []grpc.ServerOption // what only a server of grpc-go understands
}

// clientSide is what a test plugs into a channel.
type clientSide struct {
	unary     []grpc.UnaryClientInterceptor
	stream    []grpc.StreamClientInterceptor
	stats     stats.Handler
	codec     grpc.Codec //nolint:staticcheck // proxies still use it
	config    string     // the default service config, JSON
	resolver  resolver.Builder
	balancers []balancer.Builder // for callboard; grpc-go has a registry
}

// pingService is go-grpc-middleware's. Only Ping is not: all of its RPCs in the
// process write to one variable.
type pingService struct {
	testpb.TestPingService
	each func(context.Context) // if not nil, what Ping does
}

func (s *pingService) Ping(ctx context.Context, in *testpb.PingRequest) (*testpb.PingResponse, error) {
	if s.each != nil {
		s.each(ctx)
	}
	return &testpb.PingResponse{Value: in.GetValue()}, nil
}

type server interface {
	grpc.ServiceRegistrar
	GetServiceInfo() map[string]grpc.ServiceInfo
	Serve(net.Listener) error
	Stop()
	GracefulStop()
}

type client interface {
	grpc.ClientConnInterface
	Close() error
}

// stack is one implementation of gRPC.
type stack struct {
	name   string
	server func(serverSide) server
	client func(target string, c clientSide) (client, error)
}

var (
	ours   = stack{name: "callboard", server: newOurServer, client: newOurClient}
	theirs = stack{name: "grpc-go", server: newTheirServer, client: newTheirClient}
)

func newOurServer(s serverSide) server {
	opts := []callboard.ServerOption{
		callboard.ChainUnaryInterceptor(s.unary...), callboard.ChainStreamInterceptor(s.stream...),
		callboard.StatsHandler(s.stats), callboard.UnknownServiceHandler(s.unknown),
	}
	if s.codec != nil {
		opts = append(opts, callboard.CustomCodec(s.codec)) //nolint:staticcheck // proxies still use it
	}
	return callboard.NewServer(opts...)
}

func newOurClient(target string, c clientSide) (client, error) {
	opts := []callboard.DialOption{
		callboard.WithTransportCredentials(insecure.NewCredentials()), callboard.WithBalancers(c.balancers...),
		callboard.WithChainUnaryInterceptor(c.unary...), callboard.WithChainStreamInterceptor(c.stream...),
		callboard.WithStatsHandler(c.stats),
	}
	if c.codec != nil {
		opts = append(opts, callboard.WithCodec(c.codec)) //nolint:staticcheck // proxies still use it
	}
	if c.config != "" {
		opts = append(opts, callboard.WithDefaultServiceConfig(c.config))
	}
	if c.resolver != nil {
		opts = append(opts, callboard.WithResolvers(c.resolver))
	}
	return callboard.NewClient(target, opts...)
}

func newTheirServer(s serverSide) server {
	opts := append(s.grpcgo, grpc.ChainUnaryInterceptor(s.unary...), grpc.ChainStreamInterceptor(s.stream...))
	if s.stats != nil {
		opts = append(opts, grpc.StatsHandler(s.stats))
	}
	if s.unknown != nil {
		opts = append(opts, grpc.UnknownServiceHandler(s.unknown))
	}
	if s.codec != nil {
		opts = append(opts, grpc.CustomCodec(s.codec)) //nolint:staticcheck // proxies still use it
	}
	return grpc.NewServer(opts...)
}

func newTheirClient(target string, c clientSide) (client, error) {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(c.unary...), grpc.WithChainStreamInterceptor(c.stream...),
	}
	if c.stats != nil {
		opts = append(opts, grpc.WithStatsHandler(c.stats))
	}
	if c.codec != nil {
		opts = append(opts, grpc.WithCodec(c.codec)) //nolint:staticcheck // proxies still use it
	}
	if c.config != "" {
		opts = append(opts, grpc.WithDefaultServiceConfig(c.config))
	}
	if c.resolver != nil {
		opts = append(opts, grpc.WithResolvers(c.resolver))
	}
	return grpc.NewClient(target, opts...)
}

// pairing is a client's implementation and a server's.
type pairing struct{ client, server stack }

func (p pairing) name() string { return p.client.name + " to " + p.server.name }

// eachPairing runs f with callboard on at least one side.
func eachPairing(t *testing.T, f func(t *testing.T, p pairing)) {
	t.Helper()
	for _, p := range []pairing{{ours, ours}, {ours, theirs}, {theirs, ours}} {
		t.Run(p.name(), func(t *testing.T) { f(t, p) })
	}
}

// sameAsGRPCGo runs f with every pairing. What it returns with callboard has to
// be what it returns with grpc-go on both sides, and is what the latter gives.
func sameAsGRPCGo[T any](t *testing.T, f func(t *testing.T, p pairing) T, opts ...cmp.Option) (want T) {
	t.Helper()
	t.Run("grpc-go alone", func(t *testing.T) { want = f(t, pairing{theirs, theirs}) })
	if t.Failed() {
		t.FailNow()
	}
	eachPairing(t, func(t *testing.T, p pairing) {
		if d := cmp.Diff(want, f(t, p), opts...); d != "" {
			t.Errorf("-grpc-go +%s\n%s", p.name(), d)
		}
	})
	return want
}

// serve runs s on loopback. stop lets its RPCs end and may be called more than
// once; the test's end does without letting them.
func serve(t *testing.T, s server) (addr string, stop func()) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	ended := sync.OnceFunc(func() {
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		s.Stop()
		ended()
	})
	return lis.Addr().String(), func() {
		s.GracefulStop()
		ended()
	}
}

// dial is a channel to target that the test's end closes.
func dial(t *testing.T, st stack, target string, c clientSide) client {
	t.Helper()
	cc, err := st.client(target, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// patience is how long anything may take; all of it takes milliseconds.
const patience = 20 * time.Second

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until repeats f until it is content.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx := soon(t); !f(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: it does not come to that", what)
		}
	}
}
