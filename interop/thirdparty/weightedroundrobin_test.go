package thirdparty_test

import (
	"context"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/orca"
)

// A weight is the rate of requests by the utilization; these are 1:2:4.
var rates = []float64{100, 200, 400}

const utilization = 0.5

// weighted_round_robin goes by the load that grpc-go's package orca puts into the
// trailers of each RPC, and follows it when it changes.
func TestWeightedRoundRobinPerCall(t *testing.T) {
	eachChooser(t, theirs, func(t *testing.T, ch chooser) {
		var bs []*backend
		var loads []orca.ServerMetricsRecorder
		for _, rate := range rates {
			load := orca.NewServerMetricsRecorder()
			load.SetQPS(rate)
			b := &backend{pingService: pingService{each: func(ctx context.Context) {
				orca.CallMetricsRecorderFromContext(ctx).SetApplicationUtilization(utilization)
			}}}
			b.start(t, theirs, serverSide{grpcgo: []grpc.ServerOption{orca.CallMetricsServerOption(load)}}, nil)
			bs, loads = append(bs, b), append(loads, load)
		}
		c, _ := ch.dial(t, bs, weightedroundrobin.Name,
			`{"loadBalancingConfig":[{"weighted_round_robin":{"blackoutPeriod":"0s","weightUpdatePeriod":"0.1s"}}]}`)
		shares(t, c, bs, 10, 20, 40)
		loads[0].SetQPS(rates[2])
		loads[2].SetQPS(rates[0])
		shares(t, c, bs, 40, 20, 10)
	})
}

// The same by grpc-go's service for load reports out of band, on servers of
// either kind: callboard's can have it, for it is a service.
func TestWeightedRoundRobinOutOfBand(t *testing.T) {
	for _, st := range []stack{theirs, ours} {
		eachChooser(t, st, func(t *testing.T, ch chooser) {
			var bs []*backend
			for _, rate := range rates {
				load := orca.NewServerMetricsRecorder()
				load.SetQPS(rate)
				load.SetApplicationUtilization(utilization)
				bs = append(bs, new(backend).start(t, st, serverSide{}, func(s server) {
					if err := orca.Register(s, orca.ServiceOptions{ServerMetricsProvider: load}); err != nil {
						t.Fatal(err)
					}
				}))
			}
			c, _ := ch.dial(t, bs, weightedroundrobin.Name, `{"loadBalancingConfig":[{"weighted_round_robin":
				{"enableOobLoadReport":true,"oobReportingPeriod":"0.1s","blackoutPeriod":"0s","weightUpdatePeriod":"0.1s"}}]}`)
			shares(t, c, bs, 10, 20, 40)
		})
	}
}

// shares waits until RPCs are spread like that, give or take what the rounding
// of weights and the place in the sequence make of it.
func shares(t *testing.T, c testpb.TestServiceClient, bs []*backend, want ...int64) {
	t.Helper()
	const slack = 2
	var total int64
	for _, n := range want {
		total += n
	}
	until(t, "weights", func() bool { return near(pings(t, c, int(total), bs), want, slack) })
}
