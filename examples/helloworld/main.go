// Command helloworld is the smallest complete program: a server, a client and
// one unary call over loopback TCP.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(_ context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: "hello, " + q.GetName()}, nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal("helloworld: ", err)
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

	cc, err := callboard.NewClient("passthrough:///"+lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()

	r, err := greeterpb.NewGreeterClient(cc).Greet(ctx, &greeterpb.GreetRequest{Name: "world"})
	if err != nil {
		return err
	}
	fmt.Println(r.GetGreeting())
	if r.GetGreeting() != "hello, world" {
		return fmt.Errorf("not the greeting that was expected")
	}
	return nil
}
