package main

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// Stack is one gRPC implementation with its default options.
type Stack interface {
	Name() string
	// NewServer makes a server without services; a nil configuration means
	// plaintext. It takes at least so many streams per connection;
	// 0 is its default.
	NewServer(c *tls.Config, streams int) Server
	// NewClient makes a channel.
	NewClient(to route, c *tls.Config) (Client, error)
}

// route is where a channel leads and how it gets there.
type route struct {
	addrs []string // host:port
	// policy is the name of the load balancing policy; "" is one address as
	// passthrough and pick_first have it.
	policy string
}

// serviceConfig makes r's policy the channel's.
func (r route) serviceConfig() string {
	return `{"loadBalancingConfig":[{"` + r.policy + `":{}}]}`
}

const (
	routeScheme = "benchmark"
	routeTarget = routeScheme + ":///servers"
)

// resolver gives routeTarget r's addresses. Every stack takes grpc-go's.
func (r route) resolver() resolver.Builder {
	b := manual.NewBuilderWithScheme(routeScheme)
	var st resolver.State
	for _, a := range r.addrs {
		st.Endpoints = append(st.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: a}}})
	}
	b.InitialState(st)
	return b
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
	Connect()
	GetState() connectivity.State
	WaitForStateChange(ctx context.Context, from connectivity.State) bool
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
