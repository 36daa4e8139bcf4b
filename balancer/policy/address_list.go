package policy

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
)

// flat is the addresses of the endpoints, in order, each once (gRFC A61).
// Attributes for balancers do not make an address another one.
func flat(eps []resolver.Endpoint) []resolver.Address {
	seen := resolver.NewAddressMapV2[bool]()
	var list []resolver.Address
	for _, e := range eps {
		for _, a := range e.Addresses {
			if ok, _ := seen.Get(a); !ok {
				seen.Set(a, true)
				list = append(list, a)
			}
		}
	}
	return list
}

// family is what RFC 8305 alternates between.
type family uint8

const (
	otherFamily family = iota // a name, a path
	ipv4
	ipv6
)

// interleaved alternates between the families of the list, beginning with that
// of its first address and keeping the order within each (RFC 8305 section 4).
func interleaved(list []resolver.Address) []resolver.Address {
	var queue [3][]resolver.Address
	var order []family
	for _, a := range list {
		f := familyOf(a.Addr)
		if queue[f] == nil {
			order = append(order, f)
		}
		queue[f] = append(queue[f], a)
	}
	if len(order) < 2 {
		return list
	}
	mixed := make([]resolver.Address, 0, len(list))
	for len(mixed) < len(list) {
		for _, f := range order {
			if q := queue[f]; len(q) > 0 {
				mixed, queue[f] = append(mixed, q[0]), q[1:]
			}
		}
	}
	return mixed
}

// familyOf looks at an address of the form host:port. It need not be valid, so
// a look is enough: brackets hold IPv6, and IPv4 is digits and dots. An IPv4
// address mapped to IPv6 is dialled as IPv4.
func familyOf(addr string) family {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return otherFamily
	}
	host := addr[:i]
	if v6, ok := strings.CutPrefix(host, "["); ok {
		v6, ok = strings.CutSuffix(v6, "]")
		switch {
		case !ok || strings.Count(v6, ":") < 2:
			return otherFamily
		case len(v6) > 7 && strings.EqualFold(v6[:7], "::ffff:") && strings.Count(v6, ".") == 3:
			return ipv4
		}
		return ipv6
	}
	if strings.Count(host, ".") != 3 || strings.Trim(host, "0123456789.") != "" {
		return otherFamily
	}
	return ipv4
}

// shuffled puts endpoints in a random order in which each is more often in front
// the greater its weight is (gRFC A62, A113): by u^(1/weight), descending, with u
// random in [0, 1).
func shuffled(eps []resolver.Endpoint, rand func() uint64) []resolver.Endpoint {
	type drawn struct {
		resolver.Endpoint
		key float64
	}
	list := make([]drawn, len(eps))
	for i, e := range eps {
		// The logarithm orders as the power does, and keeps small keys apart.
		list[i] = drawn{e, math.Log(unit(rand())) / float64(weightOf(e))}
	}
	slices.SortStableFunc(list, func(a, b drawn) int { return cmp.Compare(b.key, a.key) })
	out := make([]resolver.Endpoint, len(list))
	for i, d := range list {
		out[i] = d.Endpoint
	}
	return out
}

// unit makes a number in [0, 1) of a random one in [0, 1<<63).
func unit(r uint64) float64 { return float64(r>>10) / (1 << 53) }

// weightOf is the weight that the resolver gave an endpoint, 1 if it gave none.
func weightOf(e resolver.Endpoint) uint32 { return max(1, weight.FromEndpoint(e).Weight) }
