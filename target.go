package callboard

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/resolver"
)

// parse finds the target's resolver: by its scheme, or the default one when it
// has none that is known.
func (cc *ClientConn) parse() (grpcresolver.Builder, error) {
	if u, err := url.Parse(cc.target); err == nil {
		if b := cc.builder(u.Scheme); b != nil {
			cc.parsed = grpcresolver.Target{URL: *u}
			return b, cc.findAuthority(b)
		}
	}
	u, err := url.Parse(defaultScheme() + ":///" + cc.target)
	if err != nil {
		return nil, err
	}
	b := cc.builder(u.Scheme)
	if b == nil {
		return nil, fmt.Errorf("no resolver for scheme %q", u.Scheme)
	}
	cc.parsed = grpcresolver.Target{URL: *u}
	return b, cc.findAuthority(b)
}

// builder finds who resolves a scheme: the channel's own resolvers, what the
// program has registered, callboard's, grpc-go's.
func (cc *ClientConn) builder(scheme string) grpcresolver.Builder {
	for _, b := range cc.opts.resolvers {
		if b.Scheme() == scheme {
			return b
		}
	}
	registered := grpcresolver.Get(scheme)
	if registered != nil && !grpcGos(registered) {
		return registered
	}
	if b := resolver.Own(scheme, cc.opts.dns); b != nil {
		return b
	}
	return registered
}

// grpcGos reports whether a builder is the one that grpc-go registers itself,
// which callboard's take the place of. A wrapper around it is not.
func grpcGos(b grpcresolver.Builder) bool {
	t := reflect.TypeOf(b)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath(), "google.golang.org/grpc/internal/resolver/")
}

// defaultScheme is that of targets without one: what resolver.SetDefaultScheme
// of grpc-go was told, else dns.
func defaultScheme() string {
	if s := grpcresolver.GetDefaultScheme(); s != "passthrough" {
		return s
	}
	// That is what it says when nobody has set it, for the sake of grpc.Dial,
	// and when a program has asked for it. A channel of grpc-go knows which.
	const name = "unresolved"
	cc, err := grpc.NewClient(name, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "dns"
	}
	defer cc.Close()
	scheme, _, _ := strings.Cut(cc.CanonicalTarget(), ":///"+name)
	return scheme
}

// findAuthority settles the :authority header: the option, else what the
// credentials override, else what the resolver says, else the endpoint.
func (cc *ClientConn) findAuthority(b grpcresolver.Builder) error {
	fromCreds := cc.opts.creds.Info().ServerName //nolint:staticcheck // OverrideServerName is deprecated, and still used
	if cc.opts.authority != "" && fromCreds != "" && cc.opts.authority != fromCreds {
		return fmt.Errorf("authority %q and the credentials' server name %q disagree", cc.opts.authority, fromCreds)
	}
	endpoint := cc.parsed.Endpoint()
	switch {
	case cc.opts.authority != "":
		cc.authority = cc.opts.authority
	case fromCreds != "":
		cc.authority = fromCreds
	default:
		if o, ok := b.(grpcresolver.AuthorityOverrider); ok {
			cc.authority = o.OverrideAuthority(cc.parsed)
			return nil
		}
		if strings.HasPrefix(endpoint, ":") {
			endpoint = "localhost" + endpoint
		}
		cc.authority = encodeAuthority(endpoint)
	}
	return nil
}

// encodeAuthority escapes what may not stand in an authority (RFC 3986 3.2).
func encodeAuthority(s string) string {
	const allowed = "-_.~!$&'()*+,;=:[]@"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func resolverConfig(cc *ClientConn, b grpcresolver.Builder) resolver.Config {
	return resolver.Config{
		Target: cc.parsed, Builder: b, Parse: parseServiceConfig, Table: cc.sys.table,
		Options: grpcresolver.BuildOptions{
			DisableServiceConfig: cc.opts.noServiceConfig, DialCreds: cc.opts.creds, CredsBundle: cc.opts.bundle,
			Dialer: cc.opts.dialer, Authority: cc.authority,
		},
	}
}
