package resolver

import (
	"time"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// In.

// ResolveNow asks for a fresh look, as a hint. The channel sends it when a
// connection is lost.
type ResolveNow struct{}

// Out, to the parent.

// Update is what a target resolves to now. It stays good until the next one.
type Update struct {
	// Endpoints have an address each at least. None at all is an answer, too:
	// the target has no servers, and the balancer is to know.
	Endpoints []resolver.Endpoint
	// Config is nil when the resolver has none to offer. With Err it is
	// broken, and the last good one stays.
	Config *serviceconfig.ParseResult
	State  resolver.State // as the resolver gave it
}

// Failed says that resolving did not succeed. The last Update stays good.
type Failed struct {
	Err   error
	Retry time.Duration // until the next try; 0: when the resolver thinks fit
}

// Within the package: what a goroutine at the edge tells the actor. From says
// which incarnation it worked for; the others pay no heed.

type (
	// news: the hosted resolver has said something; the sink has it.
	news struct{ from *hosted }
	// called: the hosted resolver has returned.
	called struct{ from *hosted }
	// answered: the source has.
	answered struct {
		from   *pulled
		answer Answer
		err    error
	}
	// due: a time has come, of the driver's timer.
	due struct {
		from driver
		gen  uint64
	}
	// crashed: user code panicked away from the actor's turn. The actor fails
	// with it, which makes it supervision's.
	crashed struct {
		from   driver
		reason *crash
	}
)
