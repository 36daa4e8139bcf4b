// Command tls authenticates both sides: the client checks the server's
// certificate, the server the client's, and the handler greets the name in it.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/examples/internal/greeterpb"
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(ctx context.Context, _ *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil, status.Error(codes.Unauthenticated, "no verified certificate")
	}
	fmt.Printf("server: %s, ALPN %s\n", tls.VersionName(info.State.Version), info.State.NegotiatedProtocol)
	name := info.State.VerifiedChains[0][0].Subject.CommonName
	return &greeterpb.GreetResponse{Greeting: "hello, " + name}, nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal("tls: ", err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	ca, err := newAuthority()
	if err != nil {
		return err
	}
	serverCert, err := ca.issue("greeter.example")
	if err != nil {
		return err
	}
	clientCert, err := ca.issue("alice")
	if err != nil {
		return err
	}

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := callboard.NewServer(callboard.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{serverCert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ca.pool,
		MinVersion:   tls.VersionTLS13,
	})))
	greeterpb.RegisterGreeterServer(srv, greeter{})
	go func() {
		if err := srv.Serve(lis); err != nil {
			log.Fatal("serve: ", err)
		}
	}()
	defer srv.GracefulStop()

	target := "passthrough:///" + lis.Addr().String()
	greeting, err := greet(ctx, target, &tls.Config{
		Certificates: []tls.Certificate{clientCert},
		RootCAs:      ca.pool,
		ServerName:   "greeter.example",
		MinVersion:   tls.VersionTLS13,
	})
	if err != nil {
		return err
	}
	fmt.Println("client:", greeting)
	if greeting != "hello, alice" {
		return fmt.Errorf("the server took the client for somebody else")
	}

	_, err = greet(ctx, target, &tls.Config{
		RootCAs:    ca.pool,
		ServerName: "somebody.else",
		MinVersion: tls.VersionTLS13,
	})
	fmt.Println("client: expecting another server:", status.Code(err))
	if status.Code(err) != codes.Unavailable {
		return fmt.Errorf("a server under the wrong name gave %w", err)
	}
	return nil
}

func greet(ctx context.Context, target string, c *tls.Config) (string, error) {
	cc, err := callboard.NewClient(target, callboard.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		return "", err
	}
	defer cc.Close()
	r, err := greeterpb.NewGreeterClient(cc).Greet(ctx, &greeterpb.GreetRequest{})
	return r.GetGreeting(), err
}
