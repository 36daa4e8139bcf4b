package thirdparty_test

import (
	"slices"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health" // and with it grpc-go's client-side checks
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const healthChecked = `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"ping"}}`

// guarded are backends with grpc-go's health service, all of them SERVING.
func guarded(t *testing.T, st stack, n int) (bs []*backend, checks []*health.Server) {
	t.Helper()
	for range n {
		h := health.NewServer()
		h.SetServingStatus("ping", healthpb.HealthCheckResponse_SERVING)
		bs = append(bs, new(backend).start(t, st, serverSide{}, func(s server) { healthpb.RegisterHealthServer(s, h) }))
		checks = append(checks, h)
	}
	return bs, checks
}

// Traffic follows what grpc-go's health service says, and no RPC fails that has
// somewhere to go: callboard's client with
// servers of grpc-go, grpc-go's client with servers of callboard, and both
// callboard's. When nobody serves, RPCs fail, and those wait that want to.
func TestHealthMovesTraffic(t *testing.T) {
	for _, st := range []stack{theirs, ours} {
		eachChooser(t, st, func(t *testing.T, ch chooser) {
			bs, checks := guarded(t, st, 2)
			set := func(i int, s healthpb.HealthCheckResponse_ServingStatus) { checks[i].SetServingStatus("ping", s) }
			c, _ := ch.dial(t, bs, roundrobin.Name, healthChecked)
			comesTo := func(what string, want ...int64) {
				t.Helper()
				until(t, what, func() bool { return slices.Equal(pings(t, c, 6, bs), want) })
				if got := pings(t, c, 60, bs); !slices.Equal(got, times(want, 10)) {
					t.Errorf("%s: %v", what, got)
				}
			}
			comesTo("both serve", 3, 3)
			set(0, healthpb.HealthCheckResponse_NOT_SERVING)
			comesTo("the first does not", 0, 6)
			set(0, healthpb.HealthCheckResponse_SERVING)
			comesTo("it does again", 3, 3)
			set(0, healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
			set(1, healthpb.HealthCheckResponse_NOT_SERVING)
			until(t, "none serves", func() bool {
				_, err := c.Ping(soon(t), testpb.GoodPing)
				return status.Code(err) == codes.Unavailable
			})
			waits := make(chan error, 1)
			go func() {
				_, err := c.Ping(soon(t), testpb.GoodPing, grpc.WaitForReady(true))
				waits <- err
			}()
			set(1, healthpb.HealthCheckResponse_SERVING)
			if err := <-waits; err != nil {
				t.Error(err)
			}
			comesTo("only the second does", 0, 6)
			checks[0].Resume() // all that it knows serve
			comesTo("both do", 3, 3)
			checks[1].Shutdown()
			comesTo("the second says that it shuts down", 6, 0)
		})
	}
}

// A server without the health service counts as healthy (gRFC A17), and pick_first
// does not ask.
func TestHealthNotAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		config string
		check  bool
		policy string
	}{
		"no health service": {healthChecked, false, roundrobin.Name},
		"pick_first":        {`{"healthCheckConfig":{"serviceName":"ping"}}`, true, "pick_first"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, st := range []stack{theirs, ours} {
				eachChooser(t, st, func(t *testing.T, ch chooser) {
					h := health.NewServer()
					h.SetServingStatus("ping", healthpb.HealthCheckResponse_NOT_SERVING)
					b := new(backend).start(t, st, serverSide{}, func(s server) {
						if tt.check {
							healthpb.RegisterHealthServer(s, h)
						}
					})
					ch.host = ch.host && tt.policy == roundrobin.Name
					c, _ := ch.dial(t, []*backend{b}, tt.policy, tt.config)
					if _, err := c.Ping(soon(t), testpb.GoodPing); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
