package callboard

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/callboard-rpc/callboard/resolver"
)

// wrapped is a program's own resolver of a scheme, around what was there.
type wrapped struct{ grpcresolver.Builder }

// register registers a resolver for the time of the test.
func register(t *testing.T, b grpcresolver.Builder) {
	before := grpcresolver.Get(b.Scheme())
	grpcresolver.Register(b)
	t.Cleanup(func() { grpcresolver.Register(before) })
}

func parsed(t *testing.T, target string, opts ...DialOption) (*ClientConn, grpcresolver.Builder) {
	t.Helper()
	cc := &ClientConn{target: target, opts: defaultDialOptions()}
	cc.opts.creds = insecure.NewCredentials()
	for _, o := range opts {
		o.applyClient(&cc.opts)
	}
	b, err := cc.parse()
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	return cc, b
}

// Who resolves a scheme: the channel's own resolvers, the program's, ours.
func TestWhoResolves(t *testing.T) {
	for _, scheme := range []string{"dns", "passthrough", "unix", "unix-abstract"} {
		stock := grpcresolver.Get(scheme)
		if stock == nil || !grpcGos(stock) {
			t.Fatalf("%s: grpc-go's resolver is %T", scheme, stock)
		}
		if _, b := parsed(t, scheme+":x"); b == stock || b.Scheme() != scheme {
			t.Errorf("%s: resolved by %T", scheme, b)
		}
		if grpcresolver.Get(scheme) != stock {
			t.Errorf("%s: grpc-go's registry has changed", scheme)
		}
		t.Run(scheme, func(t *testing.T) {
			theirs := wrapped{stock}
			register(t, theirs)
			if _, b := parsed(t, scheme+":x"); b != grpcresolver.Builder(theirs) {
				t.Errorf("registered, and resolved by %T", b)
			}
			own := manual.NewBuilderWithScheme(scheme)
			if _, b := parsed(t, scheme+":x", WithResolvers(own)); b != grpcresolver.Builder(own) {
				t.Errorf("given, and resolved by %T", b)
			}
		})
	}
}

// Targets are read as grpc-go reads them.
func TestTargetsAreGRPCGos(t *testing.T) {
	extra := manual.NewBuilderWithScheme("extra")
	for _, target := range []string{
		"", "host", "host:80", ":80", "10.0.0.1:80", "[::1]:80", "host.dot:80/path", "a b", "unknown:///x", "unknown:x",
		"dns:host", "dns:host:80", "dns:///host", "dns:///host:80", "dns://8.8.8.8/host", "dns://8.8.8.8:53/host:80",
		"passthrough:///x", "passthrough:x", "passthrough://a.server.com/x", "extra:///x", "EXTRA:///x", "extra://auth/x?q=1#f",
		"unix:x", "unix:/x", "unix:///x", "unix-abstract:x", "unix-abstract:///x", "/x", "unix:", "dns:", "::1", "http://x/y",
	} {
		theirs, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithResolvers(extra))
		cc := &ClientConn{target: target, opts: defaultDialOptions()}
		cc.opts.creds = insecure.NewCredentials()
		cc.opts.resolvers = []grpcresolver.Builder{extra}
		_, ourErr := cc.parse()
		if (err == nil) != (ourErr == nil) {
			t.Errorf("%q: %v, grpc-go %v", target, ourErr, err)
			continue
		}
		if err != nil {
			continue
		}
		if want := theirs.CanonicalTarget(); want != cc.CanonicalTarget() {
			t.Errorf("%q is %s, grpc-go's is %s", target, cc.CanonicalTarget(), want)
		}
		_ = theirs.Close()
	}
}

// The lists of addresses of gRPC's naming document, which grpc-go lacks.
func TestAddressLists(t *testing.T) {
	for _, target := range []string{"ipv4:10.0.0.1:80,10.0.0.2", "ipv6:[::1]:80,[::2]:80", "ipv4:///10.0.0.1"} {
		if cc, b := parsed(t, target); b.Scheme() != cc.parsed.URL.Scheme || b.Scheme() == "dns" {
			t.Errorf("%s: %s", target, b.Scheme())
		}
	}
	if cc, _ := parsed(t, "ipv6:[::1]:80,[::2]:80"); cc.authority != "[::1]:80" {
		t.Error(cc.authority)
	}
}

// What a program tells grpc-go about targets without a scheme holds here.
func TestDefaultScheme(t *testing.T) {
	if s := defaultScheme(); s != "dns" {
		t.Errorf("untouched: %s", s)
	}
	// There is no way back to untouched, so nothing else in this process may
	// depend on it: the last step sets what untouched means.
	defer grpcresolver.SetDefaultScheme("dns")
	for _, s := range []string{"passthrough", "unix", "extra"} {
		grpcresolver.SetDefaultScheme(s)
		if got := defaultScheme(); got != s {
			t.Errorf("%s, not %s", got, s)
		}
	}
}

func TestDNSOptions(t *testing.T) {
	cc, _ := parsed(t, "x", WithDNSPolling(-1), WithDNSMinResolutionInterval(1), WithDNSTimeout(2), WithDNSServiceConfig(false), WithDNSBalancers(true))
	d := cc.opts.dns
	if d.Schedule != (resolver.Schedule{MinInterval: 1, Timeout: 2}) || d.ServiceConfig || !d.Balancers {
		t.Errorf("%+v", d)
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"", "host:80", "dns://8.8.8.8/x", "unix:///x", "ipv4:1.2.3.4:5,6.7.8.9", "ipv6:[::1]:80", "%zz", "dns:%zz", "a\x00b", "passthrough:///\u00e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cc := &ClientConn{target: s, opts: defaultDialOptions()}
		cc.opts.creds = insecure.NewCredentials()
		b, err := cc.parse()
		if err != nil {
			return
		}
		if b == nil || b.Scheme() != cc.parsed.URL.Scheme {
			t.Fatalf("%q: resolver %v of %v", s, b, cc.parsed)
		}
		for i := range len(cc.authority) {
			if c := cc.authority[i]; c <= ' ' || c >= 0x7f {
				t.Fatalf("%q: authority %q", s, cc.authority)
			}
		}
	})
}
