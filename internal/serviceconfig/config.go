// Package serviceconfig reads gRPC's JSON service config and matches methods
// to it (gRPC service_config.md, gRFC A2, A6, A17, A24).
//
// It knows the whole of it except what load balancing policies are configured
// with: that is kept as it was written, for the balancer to parse.
//
// A service config may come from DNS, so from anybody. It may be MaxSize octets
// long and nest MaxDepth deep.
package serviceconfig

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/internal/attempt"
)

// What is accepted. DNS cannot carry more than 64 KiB in one answer.
const (
	MaxSize  = 64 << 10 // octets
	MaxDepth = 64       // of arrays and objects in each other
)

// Config is a parsed service config. It is immutable.
type Config struct {
	serviceconfig.Config // marks the type for resolvers

	// LoadBalancing is the loadBalancingConfig list as it was written; nil where
	// there is none.
	LoadBalancing json.RawMessage
	// LoadBalancingPolicy is the deprecated name of a policy. It counts where
	// there is no list; empty: no policy is named.
	LoadBalancingPolicy string
	// HealthService is the service whose health is to be checked (gRFC A17); nil:
	// none is. Empty means the server as a whole.
	HealthService *string
	// Throttling of retries and hedges (gRFC A6); nil: none.
	Throttling *attempt.Throttling

	methods map[string]*Method
}

// Method is what the config says of a method. Nil fields say nothing.
type Method struct {
	WaitForReady *bool
	Timeout      *time.Duration
	MaxRequest   *int            // octets
	MaxResponse  *int            // octets
	Attempts     *attempt.Policy // retryPolicy or hedgingPolicy
}

// Method finds what is said of "/service/method": by the exact name, else by
// the service, else by default. It is nil when nothing is.
func (c *Config) Method(path string) *Method {
	if m, ok := c.methods[path]; ok {
		return m
	}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		if m, ok := c.methods[path[:i+1]]; ok {
			return m
		}
	}
	return c.methods["/"]
}
