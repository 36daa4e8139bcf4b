package callboard

import (
	"time"

	"google.golang.org/grpc/resolver"
)

// WithResolvers adds resolvers for this ClientConn only, before the registry
// and before callboard's own: any resolver.Builder of grpc-go's kind, and what
// resolver.Polling of callboard makes.
func WithResolvers(bs ...resolver.Builder) DialOption {
	return dialOption(func(o *dialOptions) { o.resolvers = append(o.resolvers, bs...) })
}

// WithDNSPolling sets how often the "dns" scheme looks again without a reason,
// so that servers are found that came after the channel did. Each look is up to
// a fifth later, so that clients do not ask in step; an answer that says the
// same, in whatever order, changes nothing. Less than 100 ms counts as 100 ms;
// 0 is off, which is what grpc-go does. Default 30 s.
//
// A channel polls while it has a resolver: from its first RPC or Connect until
// it is idle or closed.
func WithDNSPolling(every time.Duration) DialOption {
	return dialOption(func(o *dialOptions) { o.dns.Poll = max(every, 0) })
}

// WithDNSMinResolutionInterval sets the least time from one look of the "dns"
// scheme to the next that a lost connection asks for. Polling does not heed it,
// nor do looks after a failure, which follow gRPC's backoff. Default 30 s.
// grpc-go has this for the whole process, in its package resolver/dns, which
// does not count here.
func WithDNSMinResolutionInterval(d time.Duration) DialOption {
	return dialOption(func(o *dialOptions) { o.dns.MinInterval = max(d, 0) })
}

// WithDNSTimeout sets how long one look of the "dns" scheme may take. Default
// 30 s, which is also what 0 and less mean. grpc-go has this for the whole
// process, in its package resolver/dns, which does not count here.
func WithDNSTimeout(d time.Duration) DialOption {
	return dialOption(func(o *dialOptions) { o.dns.Timeout = d })
}

// WithDNSServiceConfig sets whether the "dns" scheme looks for a service config
// in TXT records of _grpc_config.<host> (gRFC A2). The first choice that fits is
// taken; a client draws its place in percentages once per resolver, so it does
// not wander between choices as it looks again. Default, as in grpc-go: yes,
// unless the environment has GRPC_ENABLE_TXT_SERVICE_CONFIG=false.
// WithDisableServiceConfig turns it off as well.
func WithDNSServiceConfig(look bool) DialOption {
	return dialOption(func(o *dialOptions) { o.dns.ServiceConfig = look })
}

// WithDNSBalancers sets whether the "dns" scheme looks for grpclb balancers in
// SRV records of _grpclb._tcp.<host> (gRFC A5). They are handed to the policy in
// the attribute of grpc-go's package balancer/grpclb/state. Default: no, as in
// grpc-go without its grpclb.
func WithDNSBalancers(look bool) DialOption {
	return dialOption(func(o *dialOptions) { o.dns.Balancers = look })
}
