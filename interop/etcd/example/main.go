// Command example finds servers through etcd: two register, a client calls,
// one leaves, and the client goes on.
//
//	go run ./example                        with an etcd of its own
//	go run ./example -etcd 127.0.0.1:2379   with yours
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/callboard-rpc/callboard"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

const service = "callboard-example"

func main() {
	addr := flag.String("etcd", "", "address of an etcd; empty: one is started")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(etcdAddr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if etcdAddr == "" {
		e, dir, err := startEtcd()
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		defer e.Close()
		etcdAddr = e.Clients[0].Addr().String()
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: []string{etcdAddr}, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer func() { _ = cli.Close() }()
	registry, err := endpoints.NewManager(cli, service)
	if err != nil {
		return err
	}

	keys := map[string]string{} // in etcd, by the server's address
	for i := range 2 {
		srv := callboard.NewServer()
		defer srv.Stop()
		addr, err := serve(srv)
		if err != nil {
			return err
		}
		keys[addr] = fmt.Sprintf("%s/%d", service, i)
		if err := registry.AddEndpoint(ctx, keys[addr], endpoints.Endpoint{Addr: addr}); err != nil {
			return err
		}
		fmt.Println("registered", addr)
	}

	// etcd's resolver was written for grpc-go. It is taken as it is.
	etcd, err := resolver.NewBuilder(cli)
	if err != nil {
		return err
	}
	cc, err := callboard.NewClient("etcd:///"+service,
		callboard.WithResolvers(etcd), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()

	first, err := call(ctx, cc)
	if err != nil {
		return err
	}
	fmt.Println("answered by", first)
	if err := registry.DeleteEndpoint(ctx, keys[first]); err != nil {
		return err
	}
	for {
		now, err := call(ctx, cc)
		if err != nil {
			return err
		}
		if now != first {
			fmt.Println("it has left; answered by", now)
			return registry.DeleteEndpoint(ctx, keys[now])
		}
	}
}

func serve(srv *callboard.Server) (string, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Print(err)
		}
	}()
	return lis.Addr().String(), nil
}

// call gives the address of the server that answered.
func call(ctx context.Context, cc *callboard.ClientConn) (string, error) {
	var from peer.Peer
	_, err := grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&from), grpc.WaitForReady(true))
	if err != nil {
		return "", err
	}
	return from.Addr.String(), nil
}

func startEtcd() (*embed.Etcd, string, error) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return nil, "", err
	}
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = dir, "fatal"
	cfg.ListenPeerUrls, cfg.ListenClientUrls = local, local
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, "", err
	}
	<-e.Server.ReadyNotify()
	return e, dir, nil
}
