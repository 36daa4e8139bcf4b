package callboard_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver/manual"

	"github.com/callboard-rpc/callboard"
)

// Health checks decide which backends are used (gRFC A17).
func TestHealthChecks(t *testing.T) {
	const config = `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"s"}}`
	for name, tt := range map[string]struct {
		opts []callboard.DialOption
		used bool // what is not serving
	}{
		"ours":     {nil, false},
		"hosted":   {[]callboard.DialOption{callboard.WithBalancers(grpcbalancer.Get(roundrobin.Name))}, false},
		"disabled": {[]callboard.DialOption{callboard.WithDisableHealthCheck()}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var hs [2]*health.Server
			b := newBackends(t, 3, func(i int) *grpc.Server {
				srv := grpc.NewServer()
				if i < 2 { // the third one has no health service
					hs[i] = health.NewServer()
					healthpb.RegisterHealthServer(srv, hs[i])
				}
				return srv
			}, nil)
			hs[0].SetServingStatus("s", healthpb.HealthCheckResponse_NOT_SERVING)
			hs[1].SetServingStatus("s", healthpb.HealthCheckResponse_SERVING)
			r := manual.NewBuilderWithScheme("backends")
			r.InitialState(b.state())
			cc := ours(t, "backends:///all", append(tt.opts, callboard.WithResolvers(r), callboard.WithDefaultServiceConfig(config))...)
			if tt.used {
				until(t, "all are used", func() bool { return all(b.call(t, cc, 30)) })
				return
			}
			until(t, "the healthy ones are used", func() bool { n := b.call(t, cc, 30); return n[1] > 0 && n[2] > 0 })
			if n := b.call(t, cc, 100); n[0] != 0 {
				t.Errorf("calls %v: a backend that does not serve is used", n)
			}
			hs[0].SetServingStatus("s", healthpb.HealthCheckResponse_SERVING)
			until(t, "it is healthy again", func() bool { return all(b.call(t, cc, 30)) })
			hs[1].SetServingStatus("s", healthpb.HealthCheckResponse_NOT_SERVING)
			until(t, "it is not any more", func() bool { n := b.call(t, cc, 30); return n[1] == 0 && n[0] > 0 && n[2] > 0 })
		})
	}
}

// fickle changes its mind about its health as fast as it may.
type fickle struct {
	healthpb.UnimplementedHealthServer
	said atomic.Int64
}

func (f *fickle) Watch(_ *healthpb.HealthCheckRequest, ss healthpb.Health_WatchServer) error {
	for st := healthpb.HealthCheckResponse_SERVING; ss.Context().Err() == nil; st = 3 - st {
		if err := ss.Send(&healthpb.HealthCheckResponse{Status: st}); err != nil {
			return err
		}
		f.said.Add(1)
	}
	return nil
}

// A server does not decide how often a channel changes its state.
func TestFickleHealthIsPaced(t *testing.T) {
	f := &fickle{}
	b := newBackends(t, 1, func(int) *grpc.Server {
		srv := grpc.NewServer()
		healthpb.RegisterHealthServer(srv, f)
		return srv
	}, nil)
	var changes atomic.Int64
	sys := newSystem(t)
	defer sys.Subscribe(func(ev callboard.Event) {
		if _, ok := ev.(callboard.SubchannelState); ok {
			changes.Add(1)
		}
	}).Close()
	cc, err := sys.NewClient("passthrough:///"+b.addrs[0], callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"s"}}`))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cc.Connect()
	until(t, "it changes", func() bool { runtime.Gosched(); return changes.Load() > 20 })
	if d := time.Since(began); d < 150*time.Millisecond {
		t.Errorf("21 changes in %v, while the server has said %d things", d, f.said.Load())
	}
}
