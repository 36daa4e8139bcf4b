// Command server is a server under test for connectconformance: it reads one
// ServerCompatRequest from stdin, answers where it listens, and serves
// ConformanceService until SIGTERM.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/callboard-rpc/callboard/interop"
	"github.com/callboard-rpc/callboard/interop/peer"
	_ "google.golang.org/grpc/encoding/gzip" // one of the suite's compressions

	"github.com/callboard-rpc/callboard/interop/conformance"
	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// drainTimeout bounds the wait for running RPCs after a signal.
const drainTimeout = 2 * time.Second

func main() {
	implementation := flag.String("implementation", peer.Default, "gRPC implementation to test")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *implementation, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, implementation string, in io.Reader, out io.Writer) error {
	stack, err := peer.ByName(implementation)
	if err != nil {
		return err
	}
	req := new(pb.ServerCompatRequest)
	if err := conformance.Read(in, req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if req.GetProtocol() != pb.Protocol_PROTOCOL_GRPC || req.GetHttpVersion() != pb.HTTPVersion_HTTP_VERSION_2 {
		return fmt.Errorf("%v over %v is not gRPC over HTTP/2", req.GetProtocol(), req.GetHttpVersion())
	}
	cfg, err := serverConfig(req)
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := stack.NewServer(cfg)
	pb.RegisterConformanceServiceServer(srv, service{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()

	addr := lis.Addr().(*net.TCPAddr)
	err = conformance.NewWriter(out).Write(&pb.ServerCompatResponse{
		Host:    addr.IP.String(),
		Port:    uint32(addr.Port),
		PemCert: req.GetServerCreds().GetCert(),
	})
	if err != nil {
		srv.Stop()
		return errors.Join(err, <-served)
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	force := time.AfterFunc(drainTimeout, srv.Stop)
	defer force.Stop()
	srv.GracefulStop()
	return <-served
}

func serverConfig(req *pb.ServerCompatRequest) (peer.ServerConfig, error) {
	cfg := peer.ServerConfig{MaxReceive: int(req.GetMessageReceiveLimit())}
	if !req.GetUseTls() {
		return cfg, nil
	}
	id, err := tls.X509KeyPair(req.GetServerCreds().GetCert(), req.GetServerCreds().GetKey())
	if err != nil {
		return cfg, fmt.Errorf("server_creds: %w", err)
	}
	var clients *x509.CertPool
	if pem := req.GetClientTlsCert(); len(pem) > 0 {
		clients = x509.NewCertPool()
		if !clients.AppendCertsFromPEM(pem) {
			return cfg, errors.New("client_tls_cert holds no certificate")
		}
	}
	cfg.Creds = interop.ServerTLS(id, clients)
	return cfg, nil
}
