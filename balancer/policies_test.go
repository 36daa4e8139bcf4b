package balancer

import (
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// withPolicy makes the balancer's policy p, whatever is asked for.
func withPolicy(p policy.Policy) func(*Config) { return making(func() policy.Policy { return p }) }

func making(f func() policy.Policy) func(*Config) {
	return func(cfg *Config) {
		cfg.Registry = policy.NewPolicies(policy.Builder{
			Name: policy.DefaultPolicy, New: func(policy.Registry) policy.Policy { return f() },
		})
	}
}

// oneForAll has one subchannel for all addresses, and keeps it connected.
type oneForAll struct{ sub *policy.Subchannel }

func (p *oneForAll) Step(ev policy.Event, _ time.Time, fx *policy.Effects) {
	switch ev := ev.(type) {
	case *policy.Update:
		if p.sub == nil {
			p.sub = fx.NewSubchannel(flatten(ev.Endpoints)...)
			fx.SetState(connectivity.Connecting, policy.Wait)
		}
	case *policy.Changed:
		switch ev.State {
		case connectivity.Idle:
			fx.Connect = append(fx.Connect, p.sub)
		case connectivity.Ready:
			fx.SetState(ev.State, always{policy.Pick{Subchannel: p.sub}})
		case connectivity.TransientFailure:
			fx.SetState(ev.State, policy.Failing{Err: ev.Err})
		case connectivity.Connecting, connectivity.Shutdown:
		}
	case *policy.Close:
		fx.Remove = append(fx.Remove, p.sub)
	}
}

// always picks the same.
type always struct{ what policy.Pick }

func (a always) Pick(*policy.PickInfo) policy.Pick { return a.what }
