// Command server serves the official gRPC interop test services. It takes the
// official flags. It listens on loopback unless told otherwise, prints
// "listening on ADDRESS" once it does, and drains on SIGTERM or SIGINT.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/callboard-rpc/callboard/interop"
	"github.com/callboard-rpc/callboard/interop/observe"
	"github.com/callboard-rpc/callboard/interop/peer"
	"github.com/callboard-rpc/callboard/interop/services"
)

// drainTimeout bounds the wait for running RPCs after a signal.
const drainTimeout = 5 * time.Second

// options are the official flags of an interop server, and ours.
type options struct {
	port              int
	useTLS, useALTS   bool
	certFile, keyFile string
	clientCA          string
	bind              string
	implementation    string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.port, "port", 10000, "port to listen on; 0 picks one")
	fs.BoolVar(&o.useTLS, "use_tls", false, "serve TLS")
	fs.StringVar(&o.certFile, "tls_cert_file", "", "TLS certificate (default: the test certificate of this repository)")
	fs.StringVar(&o.keyFile, "tls_key_file", "", "TLS key")
	fs.StringVar(&o.clientCA, "tls_client_ca_file", "", "require client certificates signed by one of these CAs")
	fs.StringVar(&o.bind, "bind_address", "127.0.0.1", "address to listen on")
	fs.StringVar(&o.implementation, "implementation", peer.Default, "gRPC implementation to test")
	fs.BoolVar(&o.useALTS, "use_alts", false, "not supported")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.useALTS:
		return o, errors.New("--use_alts is not supported: ALTS runs on Google Cloud only")
	case !o.useTLS && o.certFile+o.keyFile+o.clientCA != "":
		return o, errors.New("certificate flags need --use_tls")
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "interop server:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "interop server:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, o options) error {
	stack, err := peer.ByName(o.implementation)
	if err != nil {
		return err
	}
	cfg, err := serverConfig(o)
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", net.JoinHostPort(o.bind, strconv.Itoa(o.port)))
	if err != nil {
		return err
	}
	srv := stack.NewServer(cfg)
	health := services.Register(srv, services.Runtime{
		SetSendCompressor: stack.SetSendCompressor,
		Prepare:           stack.Prepare,
	})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	fmt.Printf("listening on %v\n", lis.Addr())

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	health.Shutdown()
	force := time.AfterFunc(drainTimeout, srv.Stop)
	defer force.Stop()
	srv.GracefulStop()
	return <-served
}

func serverConfig(o options) (peer.ServerConfig, error) {
	cfg := peer.ServerConfig{Stats: observe.Handler{}}
	if !o.useTLS {
		return cfg, nil
	}
	id, err := interop.ServerIdentity(o.certFile, o.keyFile)
	if err != nil {
		return cfg, err
	}
	if o.clientCA == "" {
		cfg.Creds = interop.ServerTLS(id, nil)
		return cfg, nil
	}
	roots, err := interop.Roots(o.clientCA)
	if err != nil {
		return cfg, err
	}
	cfg.Creds = interop.ServerTLS(id, roots)
	return cfg, nil
}
