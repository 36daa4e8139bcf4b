package resolver

import (
	"errors"

	"google.golang.org/grpc/resolver"
)

// passthrough takes the endpoint as an address, unread: the dialer knows what
// it means.
type passthrough struct{}

var errNoEndpoint = errors.New("passthrough: the target has no endpoint")

// Build implements resolver.Builder.
func (passthrough) Build(t resolver.Target, cc resolver.ClientConn, o resolver.BuildOptions) (resolver.Resolver, error) {
	endpoint := t.Endpoint()
	if endpoint == "" && o.Dialer == nil {
		return nil, errNoEndpoint
	}
	return say(cc, endpoint)
}

// Scheme implements resolver.Builder.
func (passthrough) Scheme() string { return "passthrough" }
