// Command client runs one official gRPC interop test case against a server and
// exits with status 0 if it passed. It takes the official flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/interop"
	"github.com/callboard-rpc/callboard/interop/cases"
	"github.com/callboard-rpc/callboard/interop/observe"
	"github.com/callboard-rpc/callboard/interop/peer"
)

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "interop client:", err)
		os.Exit(2)
	}
	if o.list {
		for _, c := range cases.All() {
			fmt.Println(c.Name)
		}
		return
	}
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintf(os.Stderr, "interop client: %s: FAILED: %v\n", o.testCase, err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "interop client: %s: passed\n", o.testCase)
}

func run(ctx context.Context, o options) error {
	c, err := cases.ByName(o.testCase)
	if err != nil {
		return err
	}
	stack, err := peer.ByName(o.implementation)
	if err != nil {
		return err
	}
	open, err := opener(stack, o)
	if err != nil {
		return err
	}
	cc, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = cc.Close() }()

	o.soak.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return c.Run(ctx, &cases.Env{Conn: cc, Open: open, Prepare: stack.Prepare, Soak: o.soak})
}

// opener returns what makes a channel as the flags say.
func opener(stack peer.Stack, o options) (func() (cases.Channel, error), error) {
	cfg := peer.ClientConfig{Stats: observe.Handler{}, ServiceConfig: o.serviceConfig}
	switch {
	case o.useTLS && o.useTestCA:
		roots, err := interop.Roots(o.caFile)
		if err != nil {
			return nil, err
		}
		cfg.Creds = interop.ClientTLS(roots, o.hostOverride)
	case o.useTLS:
		cfg.Creds = interop.ClientTLS(nil, o.hostOverride)
	default:
		cfg.Authority = o.hostOverride
	}
	target := "passthrough:///" + net.JoinHostPort(o.host, strconv.Itoa(o.port))
	return func() (cases.Channel, error) {
		cc, err := stack.NewClient(target, cfg)
		if err != nil {
			return nil, err
		}
		return annotated{cc, o.metadata}, nil
	}, nil
}

// annotated adds metadata to each call.
type annotated struct {
	peer.Client
	metadata []string
}

func (a annotated) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return a.Client.Invoke(metadata.AppendToOutgoingContext(ctx, a.metadata...), method, args, reply, opts...)
}

func (a annotated) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return a.Client.NewStream(metadata.AppendToOutgoingContext(ctx, a.metadata...), desc, method, opts...)
}
