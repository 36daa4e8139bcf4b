package balancer

import (
	"testing"

	grpcbalancer "google.golang.org/grpc/balancer"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// endsBadly panics when it is closed.
type endsBadly struct {
	*scripted
	ends int
}

func (e *endsBadly) Build(cc grpcbalancer.ClientConn, o grpcbalancer.BuildOptions) grpcbalancer.Balancer {
	e.scripted.Build(cc, o)
	return e
}

func (e *endsBadly) Close() { e.ends++; panic("not my day") }

// What a hosted balancer leaves behind that panics when it is closed is ended
// nevertheless, and it is not closed again.
func TestHostedBalancerPanicsAtItsEnd(t *testing.T) {
	e, p := &endsBadly{scripted: single()}, &producing{}
	follow := e.state
	e.state = func(s *scripted, sc grpcbalancer.SubConn, st grpcbalancer.SubConnState) {
		if st.ConnectivityState == ready {
			sc.GetOrBuildProducer(p)
		}
		follow(s, sc, st)
	}
	balancerTest(t, up(), func(cfg *Config) {
		cfg.Registry = policy.NewPolicies(Hosted(e, Hosting{}))
	}, func(w *world) {
		w.offer("a")
		w.expect(ready)
	})
	if e.ends != 1 || *p != (producing{built: 1, closed: 1}) {
		t.Errorf("closed %d times, producers %+v", e.ends, *p)
	}
}
