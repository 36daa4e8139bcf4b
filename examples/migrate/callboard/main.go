// Command migrate is one program on two stacks: this folder's sibling differs
// in the two constructor lines and the import they need. Handlers, interceptors,
// credentials, call options and generated code stay as they are.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(ctx context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	if q.GetName() == "" {
		return nil, status.Error(codes.InvalidArgument, "the request has no name")
	}
	if err := grpc.SetHeader(ctx, metadata.Pairs("greeted", q.GetName())); err != nil {
		return nil, err
	}
	return &greeterpb.GreetResponse{Greeting: "hello, " + q.GetName()}, nil
}

func logCalls(ctx context.Context, q any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	r, err := next(ctx, q)
	fmt.Println("server:", info.FullMethod, status.Code(err))
	return r, err
}

func serve(lis net.Listener) {
	srv := callboard.NewServer(callboard.UnaryInterceptor(logCalls))
	greeterpb.RegisterGreeterServer(srv, greeter{})
	if err := srv.Serve(lis); err != nil {
		log.Fatal("serve: ", err)
	}
}

func main() {
	if err := run(); err != nil {
		log.Fatal("migrate: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go serve(lis)

	target := "passthrough:///" + lis.Addr().String()
	cc, err := callboard.NewClient(target, callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	cl := greeterpb.NewGreeterClient(cc)

	var header metadata.MD
	r, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: "world"}, grpc.Header(&header), grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	fmt.Printf("client: %s; header greeted %q\n", r.GetGreeting(), header.Get("greeted"))

	_, err = cl.Greet(ctx, &greeterpb.GreetRequest{})
	fmt.Println("client:", err)
	if status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("a request without a name gave %w", err)
	}
	return nil
}
