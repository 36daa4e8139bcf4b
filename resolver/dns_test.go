package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	grpclbstate "google.golang.org/grpc/balancer/grpclb/state"
	"google.golang.org/grpc/resolver"
)

// names is what a DNS server would know.
type names struct {
	mu    sync.Mutex
	hosts map[string][]string
	txts  map[string][]string
	srvs  map[string][]*net.SRV
	errs  map[string]error // by "host name", "txt name", "srv name"
	slow  map[string]time.Duration
	asked []string
}

func (n *names) ask(ctx context.Context, kind, name string) error {
	key := kind + " " + name
	n.mu.Lock()
	n.asked = append(n.asked, key)
	err, d := n.errs[key], n.slow[key]
	n.mu.Unlock()
	if d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return &net.DNSError{Err: "timeout", Name: name, IsTimeout: true}
		}
	}
	return err
}

func found[T any](n *names, m map[string][]T, name string) ([]T, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(m[name]) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return m[name], nil
}

func (n *names) LookupHost(ctx context.Context, host string) ([]string, error) {
	if err := n.ask(ctx, "host", host); err != nil {
		return nil, err
	}
	return found(n, n.hosts, host)
}

func (n *names) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := n.ask(ctx, "txt", name); err != nil {
		return nil, err
	}
	return found(n, n.txts, name)
}

func (n *names) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	name = "_" + service + "._" + proto + "." + name
	if err := n.ask(ctx, "srv", name); err != nil {
		return "", nil, err
	}
	srvs, err := found(n, n.srvs, name)
	return "", srvs, err
}

func (n *names) set(f func(n *names)) {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func (n *names) questions() []string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	q := n.asked
	n.asked = nil
	return q
}

// dns is the default resolver, asking n instead of a server.
func (n *names) dns(change ...func(*DNS)) resolver.Builder {
	d := DefaultDNS()
	d.ServiceConfig = true
	d.connect = func(string) (lookups, error) { return n, nil }
	for _, c := range change {
		c(&d)
	}
	return d.builder()
}

var (
	errServer  = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	errTimeout = &net.DNSError{Err: "timeout", IsTimeout: true}
)

func TestDNSFindsNewServersByPolling(t *testing.T) {
	n := &names{hosts: map[string][]string{"svc": {"10.0.0.1", "::1", "10.0.0.1"}}}
	inBubble(t, "dns:///svc:80", n.dns(), func(l *listener) {
		if diff := cmp.Diff([]string{"10.0.0.1:80", "[::1]:80"}, l.addrs()); diff != "" {
			t.Error(diff)
		}
		if n := len(l.last().Endpoints); n != 2 || len(l.last().State.Addresses) != 2 {
			t.Errorf("%d endpoints", n)
		}
		if l.last().Config != nil {
			t.Error("a service config")
		}
		n.set(func(n *names) { n.hosts["svc"] = []string{"::1", "10.0.0.2", "10.0.0.1"} })
		time.Sleep(36 * time.Second)
		if diff := cmp.Diff([]string{"[::1]:80", "10.0.0.2:80", "10.0.0.1:80"}, l.addrs()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Hour)
		l.count(2, 0)
	})
}

// Without polling it is grpc-go's: looked at when a connection is lost, every
// 30 s at most.
func TestDNSWithoutPolling(t *testing.T) {
	n := &names{hosts: map[string][]string{"svc": {"10.0.0.1"}}}
	inBubble(t, "dns:///svc", n.dns(func(d *DNS) { d.Poll = 0; d.ServiceConfig = false }), func(l *listener) {
		l.count(1, 0)
		time.Sleep(time.Hour)
		for range 5 {
			l.ref.Tell(&ResolveNow{})
			time.Sleep(10 * time.Second)
		}
		if diff := cmp.Diff([]string{"host svc", "host svc", "host svc"}, n.questions()); diff != "" {
			t.Error(diff)
		}
	})
}

// A name that is gone, and a server that does not answer, are failures: what
// was good stays.
func TestDNSFailures(t *testing.T) {
	for name, err := range map[string]error{"NXDOMAIN": nil, "SERVFAIL": errServer, "timeout": errTimeout} {
		t.Run(name, func(t *testing.T) {
			n := &names{hosts: map[string][]string{"svc": {"10.0.0.1"}}, errs: map[string]error{}}
			inBubble(t, "dns:///svc", n.dns(), func(l *listener) {
				l.count(1, 0)
				n.set(func(n *names) { n.hosts["svc"] = nil; n.errs["host svc"] = err })
				time.Sleep(36 * time.Second)
				us, fs := l.heard()
				if len(us) != 1 || len(fs) == 0 {
					t.Fatalf("%d updates, %d failures", len(us), len(fs))
				}
				if _, ok := errors.AsType[*net.DNSError](fs[0].Err); !ok || fs[0].Retry == 0 {
					t.Errorf("%+v", fs[0])
				}
			})
		})
	}
}

// A server that is silent is given up after the timeout.
func TestDNSTimeout(t *testing.T) {
	n := &names{slow: map[string]time.Duration{"host svc": time.Hour}}
	inBubble(t, "dns:///svc", n.dns(func(d *DNS) { d.Timeout = 3 * time.Second }), func(l *listener) {
		time.Sleep(3*time.Second - 1)
		l.count(0, 0)
		time.Sleep(time.Nanosecond)
		l.count(0, 1)
	})
}

func TestDNSServiceConfig(t *testing.T) {
	n := &names{
		hosts: map[string][]string{"svc": {"10.0.0.1"}},
		txts:  map[string][]string{"_grpc_config.svc": {`grpc_config=[{"percentage":50,"serviceConfig":{"a":1}},{"serviceConfig":{"b":2}}]`}},
		errs:  map[string]error{}, slow: map[string]time.Duration{},
	}
	draws := 0
	draw := func(d *DNS) { d.draw = func(int) int { draws++; return 70 } }
	inBubble(t, "dns:///svc", n.dns(draw), func(l *listener) {
		config := func(want string) {
			t.Helper()
			var got string
			if c := l.last().Config; c != nil && c.Err == nil {
				got = c.Config.(parsed).js
			}
			if got != want {
				t.Errorf("%q, not %q", got, want)
			}
		}
		config(`{"b":2}`)
		time.Sleep(time.Hour)
		l.count(1, 0)
		if draws != 1 {
			t.Errorf("drawn %d times", draws)
		}
		// What a failure of the server says of the record is nothing.
		for _, err := range []error{errServer, errTimeout} {
			n.set(func(n *names) { n.errs["txt _grpc_config.svc"] = err })
			time.Sleep(time.Minute)
			l.count(1, 0)
		}
		n.set(func(n *names) {
			n.errs = nil
			n.txts["_grpc_config.svc"] = []string{`grpc_config=[{"percentage":90,"serviceConfig":{"a":1}}]`}
		})
		time.Sleep(36 * time.Second)
		config(`{"a":1}`)
		// A broken one is reported, with the addresses that go with it.
		n.set(func(n *names) { n.txts["_grpc_config.svc"] = []string{`grpc_config=[`} })
		time.Sleep(36 * time.Second)
		if u := l.last(); u.Config == nil || u.Config.Err == nil || len(u.Endpoints) != 1 {
			t.Errorf("%+v", u)
		}
		// Without a record there is none.
		n.set(func(n *names) { n.txts = nil })
		time.Sleep(3 * time.Minute)
		if l.last().Config != nil {
			t.Error("there is a service config")
		}
		// One that takes its time does not hold up the addresses for long.
		n.set(func(n *names) {
			n.slow["txt _grpc_config.svc"] = time.Hour
			n.hosts["svc"] = []string{"10.0.0.2"}
		})
		time.Sleep(36*time.Second + optionalGrace)
		if diff := cmp.Diff([]string{"10.0.0.2:443"}, l.addrs()); diff != "" {
			t.Error(diff)
		}
		_, fs := l.heard()
		if len(fs) != 0 {
			t.Error(fs[0].Err)
		}
	})
}

// Nobody who does not want service configs causes a look for them.
func TestDNSServiceConfigIsOptional(t *testing.T) {
	for name, change := range map[string]struct {
		dns func(*DNS)
		cfg func(*Config)
	}{
		"by the scheme's option":  {func(d *DNS) { d.ServiceConfig = false }, func(*Config) {}},
		"by the channel's option": {func(*DNS) {}, func(c *Config) { c.Options.DisableServiceConfig = true }},
	} {
		t.Run(name, func(t *testing.T) {
			n := &names{hosts: map[string][]string{"svc": {"10.0.0.1"}}}
			inBubble(t, "dns:///svc", n.dns(change.dns), func(l *listener) {
				l.count(1, 0)
				if diff := cmp.Diff([]string{"host svc"}, n.questions()); diff != "" {
					t.Error(diff)
				}
			}, change.cfg)
		})
	}
	t.Setenv("GRPC_ENABLE_TXT_SERVICE_CONFIG", "False")
	if DefaultDNS().ServiceConfig {
		t.Error("the environment does not count")
	}
	t.Setenv("GRPC_ENABLE_TXT_SERVICE_CONFIG", "")
	if !DefaultDNS().ServiceConfig {
		t.Error("it is off by default")
	}
}

func TestDNSBalancers(t *testing.T) {
	const srv = "_grpclb._tcp.svc"
	n := &names{
		hosts: map[string][]string{"lb1": {"10.1.0.1", "10.1.0.2"}},
		srvs:  map[string][]*net.SRV{srv: {{Target: "lb1", Port: 90}, {Target: "gone", Port: 91}}},
		errs:  map[string]error{},
	}
	inBubble(t, "dns:///svc", n.dns(func(d *DNS) { d.Balancers = true }), func(l *listener) {
		// The name has no addresses of its own, and needs none.
		l.count(1, 0)
		lb := grpclbstate.Get(l.last().State)
		want := []resolver.Address{{Addr: "10.1.0.1:90", ServerName: "lb1"}, {Addr: "10.1.0.2:90", ServerName: "lb1"}}
		if lb == nil {
			t.Fatal("no balancers")
		}
		if diff := cmp.Diff(want, lb.BalancerAddresses, cmp.Comparer(resolver.Address.Equal)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Hour)
		l.count(1, 0)
		n.set(func(n *names) { n.errs["srv "+srv] = errTimeout })
		time.Sleep(time.Hour)
		l.count(1, 0)
		n.set(func(n *names) { n.errs = nil; n.hosts["svc"] = []string{"10.0.0.1"} })
		time.Sleep(time.Minute)
		if u := l.last(); len(u.Endpoints) != 1 || grpclbstate.Get(u.State) == nil {
			t.Errorf("%+v", u)
		}
		n.set(func(n *names) { n.srvs = nil })
		time.Sleep(time.Minute)
		if u := l.last(); len(u.Endpoints) != 1 || grpclbstate.Get(u.State) != nil {
			t.Errorf("%+v", u)
		}
		l.count(3, 0)
	})
	n.asked = nil
	inBubble(t, "dns:///svc", n.dns(), func(l *listener) {
		l.count(1, 0)
		if slices.Contains(n.questions(), "srv "+srv) {
			t.Error("SRV records are looked for")
		}
	})
}

// A name with very many addresses, or with some that are none.
func TestDNSLimits(t *testing.T) {
	ips := []string{"nonsense", "10.0.0"}
	for i := range maxAddresses + 500 {
		ips = append(ips, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	n := &names{hosts: map[string][]string{"many": ips, "none": ips[:2]}}
	inBubble(t, "dns:///many", n.dns(), func(l *listener) {
		if got := len(l.addrs()); got != maxAddresses {
			t.Errorf("%d addresses", got)
		}
		if st := l.status(); st.Skipped != 502 {
			t.Errorf("%+v", st)
		}
	})
	inBubble(t, "dns:///none", n.dns(), func(l *listener) {
		l.count(0, 1)
		if _, fs := l.heard(); !errors.Is(fs[0].Err, errNoRecords) {
			t.Error(fs[0].Err)
		}
	})
}

// panics is a resolver of names that panics where the test says.
type panics struct{ *names }

func (panics) LookupTXT(context.Context, string) ([]string, error) { panic("no") }

func TestDNSLookupThatPanics(t *testing.T) {
	n := &names{hosts: map[string][]string{"svc": {"10.0.0.1"}}}
	inBubble(t, "dns:///svc", n.dns(func(d *DNS) {
		d.connect = func(string) (lookups, error) { return panics{n}, nil }
	}), func(l *listener) { l.count(0, 1) })
}
