package main

import (
	"crypto/tls"
	"net"

	"google.golang.org/grpc"
)

// Stack is one gRPC implementation with its default options.
type Stack interface {
	Name() string
	// NewServer makes a server without services; a nil configuration means
	// plaintext.
	NewServer(c *tls.Config) Server
	// NewClient makes a channel to host:port.
	NewClient(addr string, c *tls.Config) (Client, error)
}

// Server is what a stack must offer to be measured.
type Server interface {
	grpc.ServiceRegistrar
	Serve(lis net.Listener) error
	Stop()
}

// Client is a channel under measurement.
type Client interface {
	grpc.ClientConnInterface
	Close() error
}

// known are the stacks by the name that -stacks takes.
var known = map[string]Stack{"grpc-go": grpcGo{}}

// defaultStacks compares callboard with grpc-go.
func defaultStacks() string {
	if _, ok := known["callboard"]; ok {
		return "callboard,grpc-go"
	}
	return "grpc-go,grpc-go"
}
