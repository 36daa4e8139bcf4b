package resolver

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/grpc/attributes"
	grpclbstate "google.golang.org/grpc/balancer/grpclb/state"
	"google.golang.org/grpc/resolver"
)

// maxSRV is how many balancers are looked up.
const maxSRV = 100

// lookupBalancers settles the balancers that SRV records name (gRFC A5). The
// attribute is made anew only when they change: it is compared by identity.
func (s *dnsSource) lookupBalancers(ctx context.Context) {
	// On some machines systemd-resolved lets a look for Google's metadata
	// server run into its timeout.
	if !s.balancers || s.host == "metadata.google.internal." {
		return
	}
	_, records, err := s.dns.LookupSRV(ctx, "grpclb", "tcp", s.host)
	if err != nil {
		if absent(err) {
			s.lb = nil
		}
		return
	}
	var found []resolver.Address
	for _, r := range records[:min(len(records), maxSRV)] {
		addrs, _, err := s.lookupHost(ctx, r.Target, strconv.Itoa(int(r.Port)))
		if err != nil {
			continue // the others may serve
		}
		for _, a := range addrs {
			a.ServerName = r.Target
			found = append(found, a)
		}
	}
	found = found[:min(len(found), maxAddresses)]
	switch old := grpclbstate.Get(resolver.State{Attributes: s.lb}); {
	case len(found) == 0:
		if ctx.Err() == nil {
			s.lb = nil
		}
	case old == nil || !slices.EqualFunc(old.BalancerAddresses, found, resolver.Address.Equal):
		s.lb = grpclbstate.Set(resolver.State{Attributes: (*attributes.Attributes)(nil)}, &grpclbstate.State{BalancerAddresses: found}).Attributes
	}
}
