// Command server serves grpc-go's own interop test service with grpc-go, on
// loopback: the server of google.golang.org/grpc/interop listens on every
// interface. It is a module of its own because that package needs much that
// callboard does not.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	cert := flag.String("tls_cert_file", "", "TLS certificate; TLS is served when given")
	key := flag.String("tls_key_file", "", "TLS key")
	flag.Parse()
	if err := serve(*cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, "official server:", err)
		os.Exit(1)
	}
}

func serve(cert, key string) error {
	var opts []grpc.ServerOption
	if cert != "" {
		creds, err := credentials.NewServerTLSFromFile(cert, key)
		if err != nil {
			return err
		}
		opts = append(opts, grpc.Creds(creds))
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(srv, interop.NewTestServer())
	fmt.Printf("listening on %v\n", lis.Addr())
	return srv.Serve(lis)
}
