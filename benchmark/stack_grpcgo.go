package main

import (
	"crypto/tls"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

type grpcGo struct{}

func (grpcGo) Name() string { return "grpc-go" }

func (grpcGo) NewServer(c *tls.Config, _ int) Server { // any number is its default
	return grpc.NewServer(grpc.Creds(transportCredentials(c)))
}

func (grpcGo) NewClient(to route, c *tls.Config) (Client, error) {
	creds := grpc.WithTransportCredentials(transportCredentials(c))
	if to.policy == "" {
		return grpc.NewClient("passthrough:///"+to.addrs[0], creds)
	}
	return grpc.NewClient(routeTarget, creds,
		grpc.WithResolvers(to.resolver()), grpc.WithDefaultServiceConfig(to.serviceConfig()))
}

func transportCredentials(c *tls.Config) credentials.TransportCredentials {
	if c == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(c)
}
