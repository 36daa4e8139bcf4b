// Package etcd_test holds callboard to what etcd's own naming resolver, written
// for grpc-go, expects of a channel. It is a module of its own so that the core
// stays free of etcd.
package etcd_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
	ownresolver "github.com/callboard-rpc/callboard/resolver"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcresolver "google.golang.org/grpc/resolver"
)

// startEtcd runs a server of etcd in this process, on loopback.
func startEtcd(t *testing.T) *clientv3.Client {
	t.Helper()
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = t.TempDir(), "fatal"
	cfg.ListenPeerUrls, cfg.ListenClientUrls = local, local
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		t.Fatal(err)
	case <-soon(t).Done():
		t.Fatal("etcd does not start")
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Clients[0].Addr().String()}, DialTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cli.Close(); err != nil {
			t.Error(err)
		}
	})
	return cli
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// backend is a server that counts its calls.
type backend struct {
	grpc_health_v1.UnimplementedHealthServer
	addr  string
	srv   *callboard.Server
	calls atomic.Int64
}

func (b *backend) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	b.calls.Add(1)
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func startBackend(t *testing.T, sys *callboard.System) *backend {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{addr: lis.Addr().String(), srv: sys.NewServer()}
	grpc_health_v1.RegisterHealthServer(b.srv, b)
	served := make(chan error, 1)
	go func() { served <- b.srv.Serve(lis) }()
	t.Cleanup(func() {
		b.srv.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return b
}

func startSystem(t *testing.T) *callboard.System {
	t.Helper()
	sys, err := callboard.NewSystem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Shutdown(soon(t)); err != nil {
			t.Error(err)
		}
	})
	return sys
}

// client is a callboard client of what is registered under "svc".
func client(t *testing.T, sys *callboard.System, etcd grpcresolver.Builder) grpc_health_v1.HealthClient {
	t.Helper()
	cc, err := sys.NewClient("etcd:///svc", callboard.WithResolvers(etcd), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return grpc_health_v1.NewHealthClient(cc)
}

// Servers come and go in etcd, whose own resolver tells the channel; no call is
// lost.
func TestServersComeAndGo(t *testing.T) {
	cli := startEtcd(t)
	ctx := soon(t)
	registry, err := endpoints.NewManager(cli, "svc")
	if err != nil {
		t.Fatal(err)
	}
	sys := startSystem(t)
	first, second := startBackend(t, sys), startBackend(t, sys)
	if err := registry.AddEndpoint(ctx, "svc/1", endpoints.Endpoint{Addr: first.addr}); err != nil {
		t.Fatal(err)
	}
	etcd, err := resolver.NewBuilder(cli)
	if err != nil {
		t.Fatal(err)
	}
	hc := client(t, sys, etcd)
	call := func() {
		t.Helper()
		if _, err := hc.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	call()
	if first.calls.Load() != 1 {
		t.Error("the first server was not found")
	}

	if err := registry.AddEndpoint(ctx, "svc/2", endpoints.Endpoint{Addr: second.addr}); err != nil {
		t.Fatal(err)
	}
	if !awaitEndpoints(ctx, sys, 2) {
		t.Fatal("the second server was not found")
	}
	call()

	if err := registry.DeleteEndpoint(ctx, "svc/1"); err != nil {
		t.Fatal(err)
	}
	for second.calls.Load() == 0 {
		call()
	}
	first.srv.Stop()
	for range 100 {
		call()
	}
}

// A registry without servers is an answer, too: calls fail, those that wait go
// on when there is one.
func TestServiceAppears(t *testing.T) {
	cli := startEtcd(t)
	ctx := soon(t)
	registry, err := endpoints.NewManager(cli, "svc")
	if err != nil {
		t.Fatal(err)
	}
	sys := startSystem(t)
	b := startBackend(t, sys)
	etcd, err := resolver.NewBuilder(cli)
	if err != nil {
		t.Fatal(err)
	}
	hc := client(t, sys, etcd)
	waits := make(chan error, 1)
	go func() {
		_, err := hc.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
		waits <- err
	}()
	if err := registry.AddEndpoint(ctx, "svc/1", endpoints.Endpoint{Addr: b.addr}); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// awaitEndpoints waits until a resolver's actor shows that many endpoints.
func awaitEndpoints(ctx context.Context, sys *callboard.System, n int) (there bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !there && ctx.Err() == nil {
		sys.Inspect().Walk(func(_ int, node *inspect.Node) bool {
			st, ok := node.Detail.(*ownresolver.Status)
			there = there || ok && st.Endpoints == n
			return !there
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return there
}
