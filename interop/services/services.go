// Package services holds the server side of the official gRPC interop test
// cases: TestService with every feature that runs offline, its companions
// UnimplementedService and BenchmarkService, and grpc-go's health and
// reflection services as they are.
package services

import (
	"context"

	_ "google.golang.org/grpc/encoding/gzip" // clients ask for compressed responses
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"

	"github.com/callboard-rpc/callboard/interop/peer"
)

// Runtime is what a handler needs from the gRPC implementation that runs it and
// grpc-go's interfaces do not offer; see peer.Stack.
type Runtime struct {
	SetSendCompressor func(ctx context.Context, name string) error
	Prepare           func(st peer.Stream, m any) (any, error)
}

// Register adds every service to s and reports them healthy. The server needs
// observe.Handler as a stats handler for expect_compressed.
func Register(s reflection.GRPCServer, rt Runtime) *health.Server {
	pb.RegisterTestServiceServer(s, NewTest(rt))
	pb.RegisterUnimplementedServiceServer(s, pb.UnimplementedUnimplementedServiceServer{})
	pb.RegisterBenchmarkServiceServer(s, Benchmark{})

	h := health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	reflection.Register(s)
	for name := range s.GetServiceInfo() {
		h.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	return h
}
