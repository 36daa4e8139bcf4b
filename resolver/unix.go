package resolver

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/resolver"
)

// unix resolves to a socket of the machine: "unix:relative", "unix:/absolute"
// and "unix:///absolute" to one in the file system, "unix-abstract:name" to one
// in Linux's abstract namespace, which Go marks by "@".
type unix struct{ scheme, prefix string }

var errNoPath = errors.New("the target has no path")

// Build implements resolver.Builder.
func (u unix) Build(t resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if t.URL.Host != "" {
		return nil, fmt.Errorf("%s: authority %q is not allowed; an absolute path has three slashes", u.scheme, t.URL.Host)
	}
	path := t.URL.Path // not Endpoint(), which takes an absolute path's slash away
	if path == "" {
		path = t.URL.Opaque
	}
	if path == "" {
		return nil, fmt.Errorf("%s: %w", u.scheme, errNoPath)
	}
	return say(cc, u.prefix+path)
}

// Scheme implements resolver.Builder.
func (u unix) Scheme() string { return u.scheme }

// OverrideAuthority implements resolver.AuthorityOverrider: a path is no name
// of a host.
func (unix) OverrideAuthority(resolver.Target) string { return "localhost" }
