// Command loadbalance spreads calls over backends that come and go.
//
// Three backends serve one target. The service config asks for round_robin, so
// each of them gets a third of the calls. Then one is killed: the calls go on to
// the other two, and none fails, because they wait for a connection that serves.
// Then the resolver offers a fourth in place of the dead one, and the channel
// connects to it while calls go on.
//
//	three backends:  a 100  b 100  c 100
//	b is killed:     a 150  c 150
//	d takes over:    a 100  c 100  d 100
//
// The resolver is grpc-go's manual one; any resolver.Builder does.
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

// backend answers with its own name.
type backend struct {
	greeterpb.UnimplementedGreeterServer
	name string
	addr string
	srv  *callboard.Server
}

func (b *backend) Greet(context.Context, *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: b.name}, nil
}

func start(name string) (*backend, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{name: name, addr: lis.Addr().String(), srv: callboard.NewServer()}
	greeterpb.RegisterGreeterServer(b.srv, b)
	go func() {
		if err := b.srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	return b, nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal("loadbalance: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	running := map[string]*backend{}
	for _, name := range []string{"a", "b", "c", "d"} {
		b, err := start(name)
		if err != nil {
			return err
		}
		defer b.srv.Stop()
		running[name] = b
	}
	state := func(names ...string) (st resolver.State) {
		for _, name := range names {
			st.Endpoints = append(st.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: running[name].addr}}})
		}
		return st
	}

	sys, err := callboard.NewSystem(callboard.WithName("balanced"))
	if err != nil {
		return err
	}
	ups := make(chan int, 100)
	sys.Subscribe(watch(ups))
	names := manual.NewBuilderWithScheme("backends")
	names.InitialState(state("a", "b", "c"))
	cc, err := sys.NewClient("backends:///greeters",
		callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithResolvers(names),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))
	if err != nil {
		return err
	}
	client := greeterpb.NewGreeterClient(cc)
	cc.Connect()

	if err := await(ctx, ups, 3); err != nil {
		return err
	}
	if err := spread(ctx, client, "three backends: ", "a", "b", "c"); err != nil {
		return err
	}
	running["b"].srv.Stop()
	if err := await(ctx, ups, 2); err != nil {
		return err
	}
	if err := spread(ctx, client, "b is killed:    ", "a", "c"); err != nil {
		return err
	}
	names.UpdateState(state("a", "c", "d"))
	if err := await(ctx, ups, 3); err != nil {
		return err
	}
	if err := spread(ctx, client, "d takes over:   ", "a", "c", "d"); err != nil {
		return err
	}
	return sys.Shutdown(ctx)
}

// watch says how many subchannels are READY each time that it changes.
func watch(ups chan<- int) func(callboard.Event) {
	n := 0
	return func(ev callboard.Event) {
		s, ok := ev.(callboard.SubchannelState)
		switch {
		case !ok:
			return
		case s.To == connectivity.Ready:
			n++
		case s.From == connectivity.Ready:
			n--
		default:
			return
		}
		ups <- n
	}
}

func await(ctx context.Context, ups <-chan int, want int) error {
	for {
		select {
		case n := <-ups:
			if n == want {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d backends: %w", want, ctx.Err())
		}
	}
}

const calls = 300

// spread calls, and counts who answers. Each of the expected backends has to
// have had a fair share.
func spread(ctx context.Context, c greeterpb.GreeterClient, title string, expected ...string) error {
	got := map[string]int{}
	for range calls {
		r, err := c.Greet(ctx, &greeterpb.GreetRequest{}, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		got[r.GetGreeting()]++
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(got)) {
		fmt.Fprintf(&b, " %s %d ", name, got[name])
	}
	fmt.Println(title + strings.TrimRight(b.String(), " "))
	for _, name := range expected {
		if share := calls / len(expected); got[name] < share/2 {
			return fmt.Errorf("%s answered %d of %d calls", name, got[name], calls)
		}
	}
	return nil
}
