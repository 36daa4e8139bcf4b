package thirdparty_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/resolver"
)

const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// round_robin spreads RPCs evenly over what is there: three servers, two when
// one stops or is no longer named, three when there is a new one; and no RPC
// fails meanwhile.
func TestRoundRobin(t *testing.T) {
	for _, st := range []stack{theirs, ours} {
		eachChooser(t, st, func(t *testing.T, ch chooser) {
			bs := starting(t, st, 3)
			c, r := ch.dial(t, bs, roundrobin.Name, roundRobin)
			even := func(what string, slack int64, want ...int64) {
				t.Helper()
				until(t, what, func() bool { return cmp.Equal(times(pings(t, c, 6, bs), 50), want) })
				if got := pings(t, c, 300, bs); !near(got, want, slack) {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			even("all three", 0, 100, 100, 100)
			for range 9 {
				if err := pingOnce(t, c, testpb.GoodPingStream); err != nil {
					t.Error(err)
				}
			}
			if d := cmp.Diff([]int64{3, 3, 3}, served(bs)); d != "" {
				t.Errorf("streams: -want +got\n%s", d)
			}

			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				bs[0].stop()
			}()
			// It is looked for again and again, and with each change of its state the
			// turns begin anew.
			even("the first has stopped", 4, 0, 150, 150)
			<-stopped

			bs = append(bs, starting(t, st, 1)...)
			r.UpdateState(addresses(bs[1:]))
			even("a new one for it", 0, 0, 100, 100, 100)

			r.UpdateState(resolver.State{Addresses: addresses(bs[2:]).Addresses})
			even("the second is not named any more", 0, 0, 0, 150, 150)
		})
	}
}
