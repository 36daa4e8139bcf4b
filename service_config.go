package callboard

import (
	"context"

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

// methodConfig is what the service config says of a method, or nil. The first
// RPCs of a channel wait for its resolver: it may have one to offer. delayed
// says that this one did.
func (cc *ClientConn) methodConfig(ctx context.Context, method string) (mc *methodConfig, delayed bool, err error) {
	delayed, err = cc.edge.awaitResolved(ctx)
	if err != nil {
		return nil, delayed, err
	}
	if c := cc.serviceConfig.Load(); c != nil {
		mc = (*methodConfig)(c.Method(method))
	}
	return mc, delayed, nil
}

type methodConfig sc.Method

// limit settles a call's message limits: the smaller of its own and its
// method's, and the defaults where neither says anything.
func (m *methodConfig) limit(ci *callInfo) {
	var maxRequest, maxResponse *int
	if m != nil {
		maxRequest, maxResponse = m.MaxRequest, m.MaxResponse
	}
	ci.maxSend = smaller(ci.maxSend, maxRequest, defaultMaxSend)
	ci.maxRecv = smaller(ci.maxRecv, maxResponse, defaultMaxRecv)
}

func smaller(call int, method *int, otherwise int) int {
	switch {
	case method == nil && call == unset:
		return otherwise
	case method == nil:
		return call
	case call == unset:
		return *method
	default:
		return min(call, *method)
	}
}

// within gives a call its method's timeout, if there is one; else cancel is
// nil.
func (m *methodConfig) within(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	if m == nil || m.Timeout == nil || *m.Timeout < 0 {
		return ctx, nil
	}
	return context.WithTimeout(ctx, *m.Timeout)
}
