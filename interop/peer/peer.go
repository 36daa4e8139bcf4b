// Package peer puts a gRPC implementation behind a few constructors, so that a
// test can pair any client with any server and a binary chooses by name.
package peer

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
)

// Server is what both implementations' servers have in common. It is also what
// the reflection service wants.
type Server interface {
	grpc.ServiceRegistrar
	GetServiceInfo() map[string]grpc.ServiceInfo
	Serve(net.Listener) error
	Stop()
	GracefulStop()
}

// Client is what both implementations' channels have in common.
type Client interface {
	grpc.ClientConnInterface
	Connect()
	GetState() connectivity.State
	WaitForStateChange(context.Context, connectivity.State) bool
	Close() error
}

// ServerConfig is the part of the server options that the tests use. A zero
// field means the implementation's default; Creds nil means plaintext.
type ServerConfig struct {
	Creds      credentials.TransportCredentials
	Stats      stats.Handler
	MaxReceive int // bytes of one message
}

// ClientConfig is the part of the dial options that the tests use.
type ClientConfig struct {
	Creds         credentials.TransportCredentials
	Stats         stats.Handler
	Authority     string
	ServiceConfig string // JSON, used when the resolver gives none
	MaxReceive    int    // bytes of one message
}

// Stream is what grpc.ClientStream and grpc.ServerStream have in common.
type Stream interface {
	Context() context.Context
	SendMsg(m any) error
	RecvMsg(m any) error
}

// Stack is one gRPC implementation.
type Stack struct {
	Name      string
	NewServer func(ServerConfig) Server
	NewClient func(target string, cfg ClientConfig) (Client, error)
	// SetSendCompressor chooses the compressor of a handler's responses.
	SetSendCompressor func(ctx context.Context, name string) error
	// Prepare encodes m as st would send it and returns what any stream of the
	// stack accepts in SendMsg. It is the one way to send a message
	// uncompressed on a stream that compresses: prepare it on one that does not.
	Prepare func(st Stream, m any) (any, error)
}

// ByName returns the stack called name.
func ByName(name string) (Stack, error) {
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
	}
	return Stack{}, fmt.Errorf("no gRPC implementation %q", name)
}

// AwaitReady connects c and waits until it is ready.
func AwaitReady(ctx context.Context, c Client) error {
	c.Connect()
	for {
		state := c.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if !c.WaitForStateChange(ctx, state) {
			return fmt.Errorf("channel is %v: %w", state, ctx.Err())
		}
	}
}
