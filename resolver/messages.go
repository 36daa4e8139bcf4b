package resolver

import (
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
	Endpoints []resolver.Endpoint
	Config    *serviceconfig.ParseResult // nil: the resolver has none to offer
	State     resolver.State             // as the resolver gave it
}

// Failed says that resolving did not succeed. The last Update stays good.
type Failed struct{ Err error }
