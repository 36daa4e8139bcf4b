package policy

import (
	"slices"

	"google.golang.org/grpc/resolver"
)

type pathKey struct{}

// path is a value of resolver attributes, which compare what they hold.
type path []string

func (p path) Equal(o any) bool {
	q, ok := o.(path)
	return ok && slices.Equal(p, q)
}

// WithPath says which children an endpoint is for: the first name is that of a
// child of the outermost weighted_target or priority policy, the next one that
// of its child's child, and so on. A resolver that configures such policies
// sets it; an endpoint without a path is for none of their children.
func WithPath(ep resolver.Endpoint, names ...string) resolver.Endpoint {
	ep.Attributes = ep.Attributes.WithValue(pathKey{}, path(slices.Clone(names)))
	return ep
}

// Path is what WithPath has set, or nil.
func Path(ep resolver.Endpoint) []string {
	p, _ := ep.Attributes.Value(pathKey{}).(path)
	return p
}

// split deals the endpoints out to children by the first name of their path,
// in order, and takes that name off.
func split(eps []resolver.Endpoint) map[string][]resolver.Endpoint {
	to := make(map[string][]resolver.Endpoint)
	for _, ep := range eps {
		if p := Path(ep); len(p) > 0 {
			to[p[0]] = append(to[p[0]], WithPath(ep, p[1:]...))
		}
	}
	return to
}
