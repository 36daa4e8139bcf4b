// Command keepalive sets both sides' keepalive parameters and lets connections
// grow old on purpose: the server retires each after a fifth of a second, and
// the calls of a busy client move on without one of them failing.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(_ context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: "hello, " + q.GetName()}, nil
}

// counter is a stats handler that counts connections.
type counter struct{ begun, ended atomic.Int64 }

func (c *counter) HandleConn(_ context.Context, ev stats.ConnStats) {
	switch ev.(type) {
	case *stats.ConnBegin:
		c.begun.Add(1)
	case *stats.ConnEnd:
		c.ended.Add(1)
	}
}

func (*counter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*counter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*counter) HandleRPC(context.Context, stats.RPCStats)                         {}

func main() {
	if err := run(); err != nil {
		log.Fatal("keepalive: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var conns counter
	srv := callboard.NewServer(
		callboard.StatsHandler(&conns),
		callboard.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      200 * time.Millisecond, // then a GOAWAY; 10 % jitter
			MaxConnectionAgeGrace: time.Second,            // for the calls still running
			Time:                  time.Minute,            // PING a client that is silent so long
			Timeout:               5 * time.Second,        // and give it so long to answer
		}),
		callboard.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             10 * time.Second, // a client that pings more often is sent away
			PermitWithoutStream: true,
		}))
	greeterpb.RegisterGreeterServer(srv, greeter{})
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	defer srv.GracefulStop()

	cc, err := callboard.NewClient("passthrough:///"+lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                20 * time.Second, // PING a server that is silent so long
			Timeout:             5 * time.Second,
			PermitWithoutStream: true, // an idle connection is watched too
		}))
	if err != nil {
		return err
	}
	defer cc.Close()
	cl := greeterpb.NewGreeterClient(cc)

	calls := 0
	for conns.begun.Load() < 4 {
		if _, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: "traveller"}); err != nil {
			return fmt.Errorf("call %d, connection %d: %w", calls, conns.begun.Load(), err)
		}
		calls++
	}
	fmt.Println("calls went on over 4 connections and none failed")
	if conns.ended.Load() == 0 {
		return fmt.Errorf("after %d calls no connection has been retired", calls)
	}
	return nil
}
