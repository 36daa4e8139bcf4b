package callboard

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
)

// watchHealth follows a service's health on one connection until ctx ends (gRFC
// A17). A server without a health service counts as healthy. It runs on a
// goroutine of the subchannel's.
func (cc *ClientConn) watchHealth(ctx context.Context, on balancer.Conn, service string, report func(connectivity.State, error)) {
	b := &backend{cc: cc, get: func() (balancer.Conn, bool) { return on, on.Up() }}
	for failures := 0; ; {
		report(connectivity.Connecting, nil)
		heard, err := watchOnce(ctx, b, service, report)
		if ctx.Err() != nil {
			return
		}
		if status.Code(err) == codes.Unimplemented {
			report(connectivity.Ready, nil)
			return
		}
		report(connectivity.TransientFailure, fmt.Errorf("health check of %q: %w", service, err))
		failures++
		if heard {
			failures = 0 // the server did answer: ask again at once
		}
		if !pause(ctx, actors.GRPCBackoff.Delay(failures)) {
			return
		}
	}
}

func watchOnce(ctx context.Context, b *backend, service string, report func(connectivity.State, error)) (heard bool, err error) {
	req := &healthpb.HealthCheckRequest{Service: service}
	return follow(ctx, b, healthpb.Health_Watch_FullMethodName, req, func(m *healthpb.HealthCheckResponse) {
		if m.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			report(connectivity.Ready, nil)
			return
		}
		report(connectivity.TransientFailure, fmt.Errorf("health check of %q: %v", service, m.GetStatus()))
	})
}
