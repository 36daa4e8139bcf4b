// Command supervise kills a backend under its client and lets policies decide
// what follows, while a subscriber tells the story.
//
// The client's supervisor is composed of three policies. A connection that is
// lost is replaced at once. An attempt that fails is repeated after 100 ms, but
// a budget allows three failures a minute only: the fourth puts the address into
// quarantine for a second, which gives the backend the time to come back. What
// is printed are the system's events, as they come:
//
//	-- the backend is killed
//	   connection 1 is down: peer gone
//	   peer gone (1 in a row): reconnect
//	   dial failed (1 in a row): reconnect 100ms
//	   ...
//	   dial failed (4 in a row): quarantine 1s
//
// An RPC in between fails, and its error says where it was and what happens
// next.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

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
		log.Fatal("supervise: ", err)
	}
}

const quarantine = time.Second

// policy is what the client does about failures.
func policy() func(callboard.Failure) callboard.Directive {
	again := callboard.Always(callboard.Reconnect(0))
	return callboard.First(
		callboard.OnKind(callboard.PeerGone, again),
		callboard.OnKind(callboard.PeerGoAway, again),
		callboard.OnKind(callboard.DialFailed, callboard.First(
			callboard.RestartBudget(3, time.Minute, callboard.Quarantine(quarantine)),
			callboard.Always(callboard.Reconnect(100*time.Millisecond)),
		)),
	)
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sys, err := callboard.NewSystem(callboard.WithName("shop"))
	if err != nil {
		return err
	}
	tale := make(story, 100)
	sub := sys.Subscribe(tale.tell)

	stop, addr, err := backend("127.0.0.1:0")
	if err != nil {
		return err
	}
	cc, err := sys.NewClient("passthrough:///"+addr,
		callboard.WithTransportCredentials(insecure.NewCredentials()), callboard.WithSupervision(policy()))
	if err != nil {
		return err
	}
	client := greeterpb.NewGreeterClient(cc)

	fmt.Println("-- the first call connects")
	if err := greet(ctx, client); err != nil {
		return err
	}
	if err := tale.until(ctx, func(ev callboard.Event) bool { return channelIs(ev, connectivity.Ready) }); err != nil {
		return err
	}

	fmt.Println("-- the backend is killed")
	stop()
	if err := tale.until(ctx, func(ev callboard.Event) bool {
		d, ok := ev.(callboard.SupervisionDecision)
		return ok && d.Directive == callboard.Quarantine(quarantine)
	}); err != nil {
		return err
	}
	if err := explain(ctx, client); err != nil {
		return err
	}
	if err := tale.until(ctx, func(ev callboard.Event) bool { return channelIs(ev, connectivity.TransientFailure) }); err != nil {
		return err
	}

	fmt.Println("-- the backend comes back")
	stop, _, err = backend(addr)
	if err != nil {
		return err
	}
	defer stop()
	if err := greet(ctx, client, grpc.WaitForReady(true)); err != nil {
		return err
	}
	if err := tale.until(ctx, func(ev callboard.Event) bool { return channelIs(ev, connectivity.Ready) }); err != nil {
		return err
	}

	fmt.Println("-- the system shuts down")
	err = sys.Shutdown(ctx)
	<-sub.Done()
	close(tale)
	for line := range tale {
		fmt.Println("  ", line)
	}
	return err
}

// backend is a server in a system of its own: this one plays the other side.
func backend(addr string) (stop func(), at string, err error) {
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", err
	}
	srv := callboard.NewServer()
	greeterpb.RegisterGreeterServer(srv, greeter{})
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	return srv.Stop, lis.Addr().String(), nil
}

func greet(ctx context.Context, c greeterpb.GreeterClient, opts ...grpc.CallOption) error {
	r, err := c.Greet(ctx, &greeterpb.GreetRequest{Name: "world"}, opts...)
	if err == nil {
		fmt.Println("   answer:", r.GetGreeting())
	}
	return err
}

// explain makes a call that cannot succeed, and reads its error.
func explain(ctx context.Context, c greeterpb.GreeterClient) error {
	_, err := c.Greet(ctx, &greeterpb.GreetRequest{Name: "nobody"})
	why, ok := callboard.WhyOf(err)
	if status.Code(err) != codes.Unavailable || !ok || len(why.Subchannels) == 0 {
		return fmt.Errorf("a call to nobody ended with %w", err)
	}
	s := why.Subchannels[0]
	fmt.Printf("   a call failed while %v: %v\n", why.Stage, s.LastError)
	fmt.Println("   the next attempt comes within", time.Until(s.NextAttempt).Round(quarantine))
	return nil
}
