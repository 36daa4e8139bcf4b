package resolver

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// recorder is a ClientConn that keeps what it hears.
type recorder struct{ states []resolver.State }

func (r *recorder) UpdateState(st resolver.State) error { r.states = append(r.states, st); return nil }
func (*recorder) ReportError(error)                     {}
func (*recorder) NewAddress([]resolver.Address)         {}
func (*recorder) ParseServiceConfig(js string) *serviceconfig.ParseResult {
	return parse(js)
}

func resolve(t *testing.T, tgt string) ([]string, error) {
	t.Helper()
	tg := target(t, tgt)
	b := Own(tg.URL.Scheme, DefaultDNS())
	if b == nil {
		t.Fatalf("%s: no resolver", tgt)
	}
	if b.Scheme() != tg.URL.Scheme {
		t.Errorf("%s: the resolver of %s", tgt, b.Scheme())
	}
	if p, ok := b.(*polling); ok {
		src, err := p.open(tg, resolver.BuildOptions{})
		if err != nil {
			return nil, err
		}
		a, err := src.Resolve(context.Background())
		if !a.Final {
			t.Errorf("%s: is looked up", tgt)
		}
		return addrsOf(a.Endpoints), err
	}
	cc := &recorder{}
	r, err := b.Build(tg, cc, resolver.BuildOptions{})
	if err != nil {
		return nil, err
	}
	r.ResolveNow(resolver.ResolveNowOptions{})
	r.Close()
	if len(cc.states) != 1 {
		t.Fatalf("%s: %d answers", tgt, len(cc.states))
	}
	return addrsOf(cc.states[0].Endpoints), nil
}

// errAny is any error at all: one of another package.
var errAny = errors.New("any")

func TestTargetsThatNeedNoLookup(t *testing.T) {
	for _, tt := range []struct {
		target string
		want   []string
		err    error
	}{
		{target: "passthrough:///a:1", want: []string{"a:1"}},
		{target: "passthrough:a:1", want: []string{"a:1"}},
		{target: "passthrough:///unix:///tmp/x", want: []string{"unix:///tmp/x"}},
		{target: "passthrough:///", err: errNoEndpoint},

		{target: "unix:relative/path", want: []string{"relative/path"}},
		{target: "unix:/absolute", want: []string{"/absolute"}},
		{target: "unix:///absolute", want: []string{"/absolute"}},
		{target: "unix://host/path", err: errAny},
		{target: "unix:", err: errNoPath},
		{target: "unix-abstract:name", want: []string{"@name"}},
		{target: "unix-abstract:///name", want: []string{"@/name"}},
		{target: "unix-abstract://host/name", err: errAny},

		{target: "ipv4:10.0.0.1", want: []string{"10.0.0.1:443"}},
		{target: "ipv4:10.0.0.1:80,10.0.0.2,10.0.0.3:82", want: []string{"10.0.0.1:80", "10.0.0.2:443", "10.0.0.3:82"}},
		{target: "ipv4:///10.0.0.1:80", want: []string{"10.0.0.1:80"}},
		{target: "ipv4:10.0.0.1:0", err: errPort},
		{target: "ipv4:10.0.0.1:65536", err: errPort},
		{target: "ipv4:10.0.0.1:http", err: errPort},
		{target: "ipv4:10.0.0.1:", err: errNoPort},
		{target: "ipv4:10.0.0.1,", err: errNoName},
		{target: "ipv4:name:80", err: errAny},
		{target: "ipv4:[::1]:80", err: errFamily},
		{target: "ipv4://10.0.0.1/", err: errAny},
		{target: "ipv4:", err: errNoAddresses},
		{target: "ipv4:" + strings.Repeat("10.0.0.1,", 1000) + "10.0.0.1", err: errTooMany},
		{target: "ipv6:[::1]:80,[::2]:81,::3,[::4]", want: []string{"[::1]:80", "[::2]:81", "[::3]:443", "[::4]:443"}},
		{target: "ipv6:[fe80::1%25eth0]:80", want: []string{"[fe80::1%eth0]:80"}},
		{target: "ipv6:[2001:db8:0::1]:80", want: []string{"[2001:db8::1]:80"}},
		{target: "ipv6:10.0.0.1:80", err: errFamily},
		{target: "ipv6:::1:80,x", err: errAny},

		{target: "dns:///10.0.0.1:80", want: []string{"10.0.0.1:80"}},
		{target: "dns:10.0.0.1", want: []string{"10.0.0.1:443"}},
		{target: "dns:///[::1]:80", want: []string{"[::1]:80"}},
		{target: "dns:///::1", want: []string{"[::1]:443"}},
		{target: "dns:///", err: errNoName},
		{target: "dns:///name:", err: errNoPort},
	} {
		got, err := resolve(t, tt.target)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%.60s: %s", tt.target, diff)
		}
		if (err != nil) != (tt.err != nil) || tt.err != nil && tt.err != errAny && !errors.Is(err, tt.err) {
			t.Errorf("%.60s: %v", tt.target, err)
		}
	}
	if Own("xds", DNS{}) != nil {
		t.Error("there is a resolver for xds")
	}
}

func TestSchemesAuthorities(t *testing.T) {
	for tgt, want := range map[string]string{
		"unix:///tmp/x": "localhost", "unix-abstract:x": "localhost",
		"ipv4:10.0.0.1:80,10.0.0.2": "10.0.0.1:80", "ipv6:[::1]:80": "[::1]:80", "ipv4:x": "localhost",
	} {
		tg := target(t, tgt)
		o, ok := Own(tg.URL.Scheme, DNS{}).(resolver.AuthorityOverrider)
		if !ok || o.OverrideAuthority(tg) != want {
			t.Errorf("%s: not %s", tgt, want)
		}
	}
}

func FuzzIPList(f *testing.F) {
	for _, s := range []string{"10.0.0.1:80,10.0.0.2", "[::1]:80,[::2]", "::1", ",", "10.0.0.1:", "[fe80::1%25a]:1", "%", "1.2.3.4:00080"} {
		f.Add("ipv4", s)
		f.Add("ipv6", s)
	}
	f.Fuzz(func(t *testing.T, scheme, list string) {
		if scheme != "ipv4" {
			scheme = "ipv6"
		}
		l := ipList{scheme: scheme}
		addrs, err := l.addresses(resolver.Target{URL: url.URL{Scheme: scheme, Opaque: list}})
		if err != nil {
			return
		}
		if len(addrs) == 0 || len(addrs) > maxAddresses {
			t.Fatalf("%d addresses", len(addrs))
		}
		for _, a := range addrs {
			if ap, err := netip.ParseAddrPort(a); err == nil {
				if ap.Addr().Is4() != (scheme == "ipv4") {
					t.Errorf("%q: of the other family", a)
				}
			} else if !strings.Contains(a, "00") { // netip knows no leading zeros in ports
				t.Errorf("%q: %v", a, err)
			}
		}
		again, err := l.parse(strings.Join(addrs, ","))
		if diff := cmp.Diff(addrs, again); diff != "" || err != nil {
			t.Errorf("%s%v", diff, err)
		}
	})
}
