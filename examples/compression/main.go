// Command compression sends one message as it is and gzipped, and shows what
// each weighs on the wire. Importing the gzip package registers the compressor
// for both sides.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/stats"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

// Greet answers in kind: a server compresses with what the request used.
func (greeter) Greet(_ context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: q.GetName()}, nil
}

// scale is a stats handler that weighs messages.
type scale struct {
	sent, received atomic.Int64 // on the wire, in bytes
}

func (s *scale) HandleRPC(_ context.Context, ev stats.RPCStats) {
	switch ev := ev.(type) {
	case *stats.OutPayload:
		s.sent.Store(int64(ev.CompressedLength))
	case *stats.InPayload:
		s.received.Store(int64(ev.CompressedLength))
	}
}

func (*scale) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*scale) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*scale) HandleConn(context.Context, stats.ConnStats)                       {}

func main() {
	if err := run(); err != nil {
		log.Fatal("compression: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := callboard.NewServer()
	greeterpb.RegisterGreeterServer(srv, greeter{})
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	defer srv.GracefulStop()

	var sc scale
	cc, err := callboard.NewClient("passthrough:///"+lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithStatsHandler(&sc))
	if err != nil {
		return err
	}
	defer cc.Close()
	cl := greeterpb.NewGreeterClient(cc)

	long := strings.Repeat("all work and no play ", 5000)
	for _, c := range []struct {
		name string
		opts []grpc.CallOption
		most int64 // bytes that either message may weigh
	}{
		{"as it is", nil, 1 << 20},
		{"gzip", []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, 10_000},
	} {
		r, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: long}, c.opts...)
		if err != nil {
			return err
		}
		sent, received := sc.sent.Load(), sc.received.Load()
		fmt.Printf("%-8s  %d bytes of text, sent as %d, received as %d\n", c.name, len(long), sent, received)
		if r.GetGreeting() != long {
			return fmt.Errorf("the text came back changed")
		}
		if sent > c.most || received > c.most {
			return fmt.Errorf("%s: more than %d bytes on the wire", c.name, c.most)
		}
	}
	return nil
}
