package resolver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
)

// Answer is what a target resolves to. It is not changed once it is given.
type Answer struct {
	// Endpoints in the order of preference. None is an answer, which ends the
	// connections there are; a source that does not know returns an error.
	Endpoints []resolver.Endpoint
	// ServiceConfig is JSON; empty: there is none.
	ServiceConfig string
	// ConfigErr says why there is none although there should be. The last good
	// one stays.
	ConfigErr error
	// Attributes are for balancers.
	Attributes *attributes.Attributes
	// Skipped counts what was left out of Endpoints because it was too much.
	Skipped int
	// Final says that looking again is of no use.
	Final bool
}

// same reports whether two answers say the same. The order of endpoints does
// not count: DNS servers rotate it.
func (a *Answer) same(b *Answer) bool {
	return a.ServiceConfig == b.ServiceConfig && sameText(a.ConfigErr, b.ConfigErr) &&
		a.Attributes.Equal(b.Attributes) &&
		slices.EqualFunc(ordered(a.Endpoints), ordered(b.Endpoints), sameEndpoint)
}

func sameText(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}

func sameEndpoint(a, b resolver.Endpoint) bool {
	return a.Attributes.Equal(b.Attributes) && slices.EqualFunc(a.Addresses, b.Addresses, resolver.Address.Equal)
}

func ordered(eps []resolver.Endpoint) []resolver.Endpoint {
	type keyed struct {
		key string
		ep  resolver.Endpoint
	}
	ks := make([]keyed, len(eps))
	for i, ep := range eps {
		var b strings.Builder
		for _, a := range ep.Addresses {
			fmt.Fprintf(&b, "%q %q,", a.Addr, a.ServerName)
		}
		ks[i] = keyed{b.String(), ep}
	}
	slices.SortStableFunc(ks, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	out := make([]resolver.Endpoint, len(ks))
	for i, k := range ks {
		out[i] = k.ep
	}
	return out
}
