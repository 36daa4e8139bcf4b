package callboard

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/serviceconfig"

	sc "github.com/callboard-rpc/callboard/internal/serviceconfig"
)

// parseServiceConfig is what resolvers get for the JSON they found.
func parseServiceConfig(js string) *serviceconfig.ParseResult {
	c, err := sc.Parse(js)
	if err != nil {
		return &serviceconfig.ParseResult{Err: err}
	}
	return &serviceconfig.ParseResult{Config: c}
}

// methodConfig is what the service config says of a method, or nil.
func (cc *ClientConn) methodConfig(method string) *methodConfig {
	c := cc.serviceConfig.Load()
	if c == nil {
		return nil
	}
	return (*methodConfig)(c.Method(method))
}

type methodConfig sc.Method

// apply narrows a call to what its method's config allows: the shorter timeout,
// the smaller limits; wait-for-ready where the call does not say.
func (m *methodConfig) apply(ctx context.Context, ci *callInfo, opts []grpc.CallOption) (context.Context, context.CancelFunc) {
	if m.WaitForReady != nil && !saysFailFast(opts) {
		ci.waitForReady = *m.WaitForReady
	}
	if m.MaxRequest != nil {
		ci.maxSend = min(ci.maxSend, *m.MaxRequest)
	}
	if m.MaxResponse != nil {
		ci.maxRecv = min(ci.maxRecv, *m.MaxResponse)
	}
	if m.Timeout != nil {
		return context.WithTimeout(ctx, *m.Timeout)
	}
	return ctx, nil
}

func saysFailFast(opts []grpc.CallOption) bool {
	for _, o := range opts {
		if _, ok := o.(grpc.FailFastCallOption); ok {
			return true
		}
	}
	return false
}
