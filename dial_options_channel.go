package callboard

import (
	"time"

	grpcbalancer "google.golang.org/grpc/balancer"
)

// channelOptions are those of how a channel keeps its connections.
type channelOptions struct {
	balancers     []grpcbalancer.Builder
	idleTimeout   time.Duration
	maxConns      int
	noHealthCheck bool
	noProxy       bool
	localDNS      bool
}

const defaultIdleTimeout = 30 * time.Minute

func defaultChannelOptions() channelOptions {
	return channelOptions{idleTimeout: defaultIdleTimeout, maxConns: 1}
}

// WithBalancers adds load balancing policies of grpc-go's kind for this
// ClientConn only. Where a service config names one of them it is taken, before
// callboard's own of that name and before what is registered with grpc-go, which
// needs no option.
func WithBalancers(bs ...grpcbalancer.Builder) DialOption {
	return dialOption(func(o *dialOptions) { o.balancers = append(o.balancers, bs...) })
}

// WithIdleTimeout sets after how long without an RPC the channel closes its
// connections and stops resolving, until the next RPC or Connect. RPCs in flight
// or waiting for a connection keep it from that. It takes between d and d and a
// half. Default 30 minutes, as in grpc-go; 0 disables it.
func WithIdleTimeout(d time.Duration) DialOption {
	return dialOption(func(o *dialOptions) { o.idleTimeout = max(d, 0) })
}

// WithMaxConnectionsPerSubchannel lets a subchannel have up to n connections to
// its backend (gRFC A105). A further one is opened when RPCs wait because the
// server's MAX_CONCURRENT_STREAMS is reached on those there are, and closed when
// the others have had room to spare for half a minute or more. An RPC takes the
// less loaded of two at random. Default 1, which is also what less means.
func WithMaxConnectionsPerSubchannel(n int) DialOption {
	return dialOption(func(o *dialOptions) { o.maxConns = max(n, 1) })
}

// WithDisableHealthCheck leaves a healthCheckConfig in the service config
// unheeded (gRFC A17). Other than in grpc-go no package has to be imported to have
// it heeded.
func WithDisableHealthCheck() DialOption {
	return dialOption(func(o *dialOptions) { o.noHealthCheck = true })
}

// WithNoProxy connects directly, whatever the environment says of proxies.
func WithNoProxy() DialOption {
	return dialOption(func(o *dialOptions) { o.noProxy = true })
}

// WithLocalDNSResolution resolves the target here although a proxy is used, and
// asks the proxy for an address instead of a name.
func WithLocalDNSResolution() DialOption {
	return dialOption(func(o *dialOptions) { o.localDNS = true })
}
