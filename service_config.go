package callboard

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/internal/attempt"
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

// rules are what the service config says of one RPC.
type rules struct {
	*methodConfig                   // nil: nothing
	policy        *attempt.Policy   // nil: one attempt
	throttle      *attempt.Throttle // nil: none
	delayed       bool              // the RPC waited for the channel's first resolution
}

// rulesFor finds the rules of an RPC. The first RPCs of a channel wait for its
// resolver: it may have a service config to offer.
func (cc *ClientConn) rulesFor(ctx context.Context, method string) (rules, error) {
	delayed, err := cc.edge.awaitResolved(ctx)
	r := rules{delayed: delayed}
	if err != nil {
		return r, err
	}
	c := cc.serviceConfig.Load()
	if c == nil {
		return r, nil
	}
	r.methodConfig = (*methodConfig)(c.Method(method))
	if cc.opts.disableRetry {
		return r, nil
	}
	if r.methodConfig != nil {
		r.policy = r.Attempts
	}
	if c.Throttling != nil {
		r.throttle = cc.retries.throttle(*c.Throttling)
	}
	return r, nil
}

// retries is what the RPCs of a channel share for their retries and hedges.
type retries struct {
	now atomic.Pointer[attempt.Throttle]
}

// throttle is the channel's throttle, as cfg wants it. It lives on when the
// service config is looked up again.
func (r *retries) throttle(cfg attempt.Throttling) *attempt.Throttle {
	for {
		old := r.now.Load()
		t := old.Renew(cfg)
		if t == old || r.now.CompareAndSwap(old, t) {
			return t
		}
	}
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
