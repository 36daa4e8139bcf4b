// Command deadline shows how a deadline travels: with the request, across a
// second hop, and back as DEADLINE_EXCEEDED; and how a cancellation reaches the
// handler.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

// greeter takes its time. Asked for "relay" it passes the call on with the
// context it was given, and with it what is left of the deadline.
type greeter struct {
	greeterpb.UnimplementedGreeterServer
	self  greeterpb.GreeterClient
	ended chan error // how each slow handler's context ended
}

func (g *greeter) Greet(ctx context.Context, q *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	switch q.GetName() {
	case "quick":
		return &greeterpb.GreetResponse{Greeting: "here you are"}, nil
	case "relay":
		return g.self.Greet(ctx, &greeterpb.GreetRequest{Name: "slow"})
	}
	select {
	case <-ctx.Done():
		g.ended <- ctx.Err()
		return nil, status.FromContextError(ctx.Err()).Err()
	case <-time.After(4 * time.Second):
		return nil, status.Error(codes.Internal, "nobody told the handler to stop")
	}
}

func main() {
	if err := run(); err != nil {
		log.Fatal("deadline: ", err)
	}
}

func run() error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cc, err := callboard.NewClient("passthrough:///"+lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	cl := greeterpb.NewGreeterClient(cc)

	g := &greeter{self: cl, ended: make(chan error, 1)}
	srv := callboard.NewServer()
	greeterpb.RegisterGreeterServer(srv, g)
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	defer srv.GracefulStop()

	for _, c := range []struct {
		name    string
		timeout time.Duration
		want    codes.Code
	}{
		{"quick", 2 * time.Second, codes.OK},
		{"slow", 100 * time.Millisecond, codes.DeadlineExceeded},
		{"relay", 100 * time.Millisecond, codes.DeadlineExceeded},
	} {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
		_, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: c.name})
		cancel()
		took := time.Since(begin)
		fmt.Printf("client: %-6s with %v: %v\n", c.name, c.timeout, status.Code(err))
		if status.Code(err) != c.want || took > time.Second {
			return fmt.Errorf("%s gave %v after %v", c.name, status.Code(err), took)
		}
		if c.want == codes.DeadlineExceeded {
			fmt.Println("server: the slow handler's context ended:", <-g.ended)
		}
	}
	return cancelled(cl, g)
}

// cancelled gives up a call that has no deadline.
func cancelled(cl greeterpb.GreeterClient, g *greeter) error {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := cl.Greet(ctx, &greeterpb.GreetRequest{Name: "slow"})
	fmt.Println("client: slow, given up:", status.Code(err))
	if status.Code(err) != codes.Canceled {
		return fmt.Errorf("a cancelled call gave %w", err)
	}
	fmt.Println("server: the slow handler's context ended:", <-g.ended)
	return nil
}
