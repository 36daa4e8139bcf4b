// Command gracefulstop stops a server while a call is running: the call
// finishes, a later one is refused.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

// greeter holds its one call until it is released.
type greeter struct {
	greeterpb.UnimplementedGreeterServer
	running chan struct{}
	release chan struct{}
}

func (g *greeter) Greet(ctx context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	close(g.running)
	select {
	case <-g.release:
		return &greeterpb.GreetResponse{Greeting: "hello and goodbye, " + q.GetName()}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func main() {
	if err := run(); err != nil {
		log.Fatal("gracefulstop: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g := &greeter{running: make(chan struct{}), release: make(chan struct{})}
	srv := callboard.NewServer()
	greeterpb.RegisterGreeterServer(srv, g)
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()

	cc, err := callboard.NewClient("passthrough:///"+lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	cl := greeterpb.NewGreeterClient(cc)

	type answer struct {
		r   *greeterpb.GreetResponse
		err error
	}
	first := make(chan answer, 1)
	go func() {
		r, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: "early caller"})
		first <- answer{r, err}
	}()
	<-g.running
	fmt.Println("a call is running")

	stopped := make(chan struct{})
	go func() {
		srv.GracefulStop() // returns when the last call is over
		close(stopped)
	}()
	// The server's GOAWAY takes the channel out of READY while the call goes on.
	if !cc.WaitForStateChange(ctx, connectivity.Ready) {
		return fmt.Errorf("the client was not told that the server is stopping")
	}
	fmt.Println("the client has been told that the server is stopping")
	select {
	case <-stopped:
		return fmt.Errorf("the server did not wait for the running call")
	default:
	}

	close(g.release)
	a := <-first
	if a.err != nil {
		return fmt.Errorf("the running call: %w", a.err)
	}
	fmt.Println("the running call finished:", a.r.GetGreeting())
	<-stopped
	fmt.Println("the server has stopped")

	_, err = cl.Greet(ctx, &greeterpb.GreetRequest{Name: "late caller"})
	fmt.Println("a late call:", status.Code(err))
	if status.Code(err) != codes.Unavailable {
		return fmt.Errorf("the late call gave %w", err)
	}
	return nil
}
