package callboard

import (
	"fmt"
	"strings"
	"time"

	grpcbalancer "google.golang.org/grpc/balancer"
	estats "google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/balancer/policy"
	sc "github.com/callboard-rpc/callboard/internal/serviceconfig"
	"github.com/callboard-rpc/callboard/resolver"
)

// policies finds load balancing policies: those of WithBalancers, callboard's,
// and whatever is registered with grpc-go, which the balancer hosts.
type policies struct {
	first map[string]grpcbalancer.Builder
	*policy.Policies
	hosting balancer.Hosting
}

func (cc *ClientConn) policies() *policies {
	p := &policies{
		first: map[string]grpcbalancer.Builder{}, Policies: policy.NewPolicies(policy.Default()...), hosting: cc.hosting(),
	}
	for _, b := range cc.opts.balancers {
		p.first[b.Name()] = b
	}
	p.Else = func(name string) (policy.Builder, bool) {
		if b := grpcbalancer.Get(name); b != nil {
			return balancer.Hosted(b, p.hosting), true
		}
		return policy.Builder{}, false
	}
	return p
}

// Lookup implements policy.Registry.
func (p *policies) Lookup(name string) (policy.Builder, bool) {
	if b, ok := p.first[name]; ok {
		return balancer.Hosted(b, p.hosting), true
	}
	return p.Policies.Lookup(name)
}

// choice is the policy that a service config names; the zero Choice, which is the
// default one, where it names none (gRFC A24).
func choice(cfg *sc.Config, r policy.Registry) (policy.Choice, error) {
	switch {
	case cfg == nil:
		return policy.Choice{}, nil
	case cfg.LoadBalancing != nil:
		return policy.ParseList(cfg.LoadBalancing, r)
	case cfg.LoadBalancingPolicy != "":
		if b, ok := r.Lookup(strings.ToLower(cfg.LoadBalancingPolicy)); ok {
			return policy.Choice{Builder: b}, nil
		}
	}
	return policy.Choice{}, nil
}

// settled is what the service configs of a channel come to. It belongs to the
// channel's actor.
type settled struct {
	cc       *ClientConn
	registry policy.Registry
	choice   policy.Choice
	config   *sc.Config
	any      bool // there was a good answer before
}

// settle reads the resolver's service config. It is in force before the balancer
// has the endpoints.
func (s *settled) settle(m *resolver.Update) (*balancer.Update, error) {
	cfg, err := s.cc.offerServiceConfig(m.Config, s.config)
	var to policy.Choice
	if err == nil {
		to, err = choice(cfg, s.registry)
	}
	if err != nil {
		s.cc.sys.publish(ServiceConfigRejected{Origin: s.cc.origin(), Err: err})
	}
	switch {
	case err == nil:
		s.switched(to)
		s.choice, s.config, s.any = to, cfg, true
		s.cc.serviceConfig.Store(cfg)
	case !s.any:
		return nil, fmt.Errorf("service config: %w", err)
	}
	u := &balancer.Update{Update: m, Choice: s.choice}
	if s.config != nil && !s.cc.opts.noHealthCheck {
		u.HealthService = s.config.HealthService
	}
	return u, nil
}

func (s *settled) switched(to policy.Choice) {
	from := ""
	if s.any {
		from = policyName(s.choice)
	}
	if name := policyName(to); name != from {
		s.cc.sys.publish(PolicySwitched{Origin: s.cc.origin(), From: from, To: name})
	}
}

func policyName(c policy.Choice) string {
	if c.Builder.Name == "" {
		return policy.DefaultPolicy
	}
	return c.Builder.Name
}

// offerServiceConfig is the service config that is to be in force when the
// resolver offers r: its own, or else the one it had before, or else the channel's
// default, which also counts where the resolver's is not wanted.
func (cc *ClientConn) offerServiceConfig(r *serviceconfig.ParseResult, before *sc.Config) (*sc.Config, error) {
	if r != nil && !cc.opts.noServiceConfig {
		if r.Err != nil {
			return nil, r.Err
		}
		if cfg, ok := r.Config.(*sc.Config); ok {
			return cfg, nil
		}
	}
	if before != nil {
		return before, nil
	}
	return cc.defaultConfig, nil
}

func (cc *ClientConn) origin() Origin { return Origin{At: time.Now(), Actor: cc.edge.path()} }

// hosting is what policies of grpc-go see of the channel.
func (cc *ClientConn) hosting() balancer.Hosting {
	h := balancer.Hosting{
		Options: grpcbalancer.BuildOptions{
			DialCreds: cc.opts.creds, CredsBundle: cc.opts.bundle, Dialer: cc.opts.dialer,
			Authority: cc.authority, CustomUserAgent: cc.opts.userAgent, Target: cc.parsed,
		},
		Target: cc.target,
		Calls:  func(get func() (balancer.Conn, bool)) any { return &backend{cc: cc, get: get} },
		Load:   reportOf,
	}
	for _, s := range cc.opts.stats {
		if m, ok := s.(estats.MetricsRecorder); ok {
			h.Metrics = append(h.Metrics, m)
		}
	}
	return h
}
