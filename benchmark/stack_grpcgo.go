package main

import (
	"crypto/tls"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

type grpcGo struct{}

func (grpcGo) Name() string { return "grpc-go" }

func (grpcGo) NewServer(c *tls.Config) Server {
	return grpc.NewServer(grpc.Creds(transportCredentials(c)))
}

func (grpcGo) NewClient(addr string, c *tls.Config) (Client, error) {
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(transportCredentials(c)))
}

func transportCredentials(c *tls.Config) credentials.TransportCredentials {
	if c == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(c)
}
