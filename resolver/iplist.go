package resolver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
)

// ipList resolves to the addresses that the target itself lists (gRPC's naming
// document): "ipv4:10.0.0.1:80,10.0.0.2" and "ipv6:[::1]:80,[::2]:80,::3". The
// port is 443 where there is none.
type ipList struct{ scheme string }

var (
	errNoAddresses = errors.New("no addresses")
	errPort        = errors.New("not a port from 1 to 65535")
	errFamily      = errors.New("of the other family")
	errTooMany     = fmt.Errorf("more than %d addresses", maxAddresses)
)

// Build implements resolver.Builder.
func (l ipList) Build(t resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	addrs, err := l.addresses(t)
	if err != nil {
		return nil, err
	}
	return say(cc, addrs...)
}

// Scheme implements resolver.Builder.
func (l ipList) Scheme() string { return l.scheme }

// OverrideAuthority implements resolver.AuthorityOverrider: the first address
// stands for all.
func (l ipList) OverrideAuthority(t resolver.Target) string {
	addrs, err := l.addresses(t)
	if err != nil {
		return "localhost" // nothing will be connected
	}
	return addrs[0]
}

func (l ipList) addresses(t resolver.Target) ([]string, error) {
	if t.URL.Host != "" {
		return nil, fmt.Errorf("%s: authority %q is not allowed", l.scheme, t.URL.Host)
	}
	list := t.Endpoint()
	if s, err := url.PathUnescape(list); err == nil { // a zone's "%25"
		list = s
	}
	return l.parse(list)
}

func (l ipList) parse(list string) ([]string, error) {
	if list == "" {
		return nil, fmt.Errorf("%s: %w", l.scheme, errNoAddresses)
	}
	items := strings.SplitN(list, ",", maxAddresses+1)
	if len(items) > maxAddresses {
		return nil, fmt.Errorf("%s: %w", l.scheme, errTooMany)
	}
	out := make([]string, len(items))
	for i, item := range items {
		host, port, err := splitHostPort(item, defaultPort)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.scheme, err)
		}
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil, fmt.Errorf("%s: address %d: %w", l.scheme, i+1, err)
		}
		if ip.Is4() != (l.scheme == "ipv4") {
			return nil, fmt.Errorf("%s: address %d, %q: %w", l.scheme, i+1, host, errFamily)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%s: address %d, %q: %w", l.scheme, i+1, port, errPort)
		}
		out[i] = net.JoinHostPort(ip.String(), port)
	}
	return out, nil
}
