package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	grpclbstate "google.golang.org/grpc/balancer/grpclb/state"
	"google.golang.org/grpc/resolver"
)

// zone is a DNS server on loopback, over UDP and TCP.
type zone struct {
	addr string

	mu      sync.Mutex
	records map[string][]dns.RR // by name, in lower case and with a dot behind
	rcode   int                 // instead of an answer
	asked   map[string]int      // by type and name
}

func serveZone(t *testing.T, records ...string) *zone {
	t.Helper()
	z := &zone{asked: map[string]int{}}
	z.set(t, records...)
	pc, lis := samePort(t)
	z.addr = pc.LocalAddr().String()
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: lis, Handler: z}} {
		up, down := make(chan struct{}), make(chan error, 1)
		srv.NotifyStartedFunc = func() { close(up) }
		go func() { down <- srv.ActivateAndServe() }()
		<-up
		t.Cleanup(func() {
			if err := srv.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-down; err != nil {
				t.Error(err)
			}
		})
	}
	return z
}

// samePort listens for datagrams and connections on one port. Somebody else may
// have the other half of the one that is given out.
func samePort(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		lis, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, lis
		}
		_ = pc.Close()
		last = err
	}
	t.Fatal(last)
	return nil, nil
}

func (z *zone) set(t *testing.T, records ...string) {
	t.Helper()
	m := map[string][]dns.RR{}
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		m[rr.Header().Name] = append(m[rr.Header().Name], rr)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = m
}

// ServeDNS implements dns.Handler.
func (z *zone) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	resp := new(dns.Msg).SetReply(req)
	resp.Authoritative = true
	q := req.Question[0]
	z.asked[dns.TypeToString[q.Qtype]+" "+q.Name]++
	rrs, known := z.records[strings.ToLower(q.Name)]
	for _, rr := range rrs {
		if rr.Header().Rrtype == q.Qtype {
			resp.Answer = append(resp.Answer, rr)
		}
	}
	switch {
	case z.rcode != 0:
		resp.Answer, resp.Rcode = nil, z.rcode
	case !known:
		resp.Rcode = dns.RcodeNameError
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		resp.Truncate(dns.MinMsgSize)
	}
	_ = w.WriteMsg(resp) // a client that is gone
}

// source is the dns scheme's, asking the zone.
func (z *zone) source(t *testing.T, host string, d DNS) Source {
	t.Helper()
	src, err := d.open(target(t, "dns://"+z.addr+"/"+host), resolver.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestDNSServer(t *testing.T) {
	z := serveZone(t,
		"svc.test. 60 A 10.0.0.1", "svc.test. 60 A 10.0.0.2", "svc.test. 60 AAAA 2001:db8::1",
		"alias.test. 60 CNAME svc.test.", "empty.test. 60 TXT nothing",
		`_grpc_config.svc.test. 60 TXT "v=spf1 -all"`,
		`_grpc_config.svc.test. 60 TXT "grpc_config=[{\"clientLanguage\":[\"java\"],\"serviceConfig\":{}}," "{\"percentage\":0,\"serviceConfig\":{}},{\"percentage\":100,\"serviceConfig\":{\"a\":1}}]"`,
		"_grpclb._tcp.svc.test. 60 SRV 0 0 90 lb.test.", "_grpclb._tcp.svc.test. 60 SRV 1 0 91 gone.test.", "lb.test. 60 A 10.1.0.1",
	)
	d := DefaultDNS()
	d.ServiceConfig, d.Balancers = true, true
	a, err := z.source(t, "svc.test.:80", d).Resolve(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"10.0.0.1:80": true, "10.0.0.2:80": true, "[2001:db8::1]:80": true}
	got := map[string]bool{}
	for _, addr := range addrsOf(a.Endpoints) {
		got[addr] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a.ServiceConfig != `{"a":1}` || a.ConfigErr != nil {
		t.Errorf("service config %q, %v", a.ServiceConfig, a.ConfigErr)
	}
	lb := grpclbstate.Get(resolver.State{Attributes: a.Attributes})
	if lb == nil || len(lb.BalancerAddresses) != 1 || lb.BalancerAddresses[0].Addr != "10.1.0.1:90" || lb.BalancerAddresses[0].ServerName != "lb.test." {
		t.Errorf("balancers %+v", lb)
	}
}

// Names that are not there, or have no addresses, and servers that refuse, are
// failures; that there is no service config is none.
func TestDNSServerFailures(t *testing.T) {
	z := serveZone(t, "svc.test. 60 A 10.0.0.1", `empty.test. 60 TXT "nothing"`)
	d := DefaultDNS()
	d.ServiceConfig, d.Balancers = true, true
	if a, err := z.source(t, "svc.test.", d).Resolve(soon(t)); err != nil || a.ConfigErr != nil || a.Attributes != nil {
		t.Error(a, err)
	}
	for _, host := range []string{"gone.test.", "empty.test."} {
		if _, err := z.source(t, host, d).Resolve(soon(t)); !absent(errors.Unwrap(err)) {
			t.Errorf("%s: %v", host, err)
		} else if e, ok := errors.AsType[*net.DNSError](err); !ok || e.Server != z.addr {
			t.Errorf("%s: %v does not blame %s", host, err, z.addr)
		}
	}
	z.mu.Lock()
	z.rcode = dns.RcodeServerFailure
	z.mu.Unlock()
	if _, err := z.source(t, "svc.test.", d).Resolve(soon(t)); err == nil || absent(errors.Unwrap(err)) {
		t.Error(err)
	}
}

// Answers that do not fit a datagram.
func TestDNSServerOverTCP(t *testing.T) {
	var records []string
	for i := range 1500 {
		records = append(records, fmt.Sprintf("many.test. 60 A 10.0.%d.%d", i/250, i%250))
	}
	// Strings of 255 octets at most (RFC 1035 3.3).
	config := `grpc_config=[{"serviceConfig":{"a":"` + strings.Repeat("x", 20_000) + `"}}]`
	var txt strings.Builder
	for len(config) > 0 {
		n := min(len(config), 255)
		fmt.Fprintf(&txt, " \"%s\"", strings.ReplaceAll(config[:n], `"`, `\"`))
		config = config[n:]
	}
	z := serveZone(t, append(records, "_grpc_config.many.test. 60 TXT"+txt.String())...)
	d := DefaultDNS()
	d.ServiceConfig = true
	a, err := z.source(t, "many.test.", d).Resolve(soon(t))
	if err != nil || a.ConfigErr != nil {
		t.Fatal(err, a.ConfigErr)
	}
	if len(a.Endpoints) != maxAddresses || a.Skipped != 500 || len(a.ServiceConfig) < 20_000 {
		t.Errorf("%d endpoints, %d skipped, service config of %d", len(a.Endpoints), a.Skipped, len(a.ServiceConfig))
	}
}

func TestDNSServersOfTheAuthority(t *testing.T) {
	for authority, ok := range map[string]bool{"": true, "127.0.0.1": true, "127.0.0.1:5353": true, "[::1]:53": true, "127.0.0.1:": false, "a:b:c": false} {
		if _, err := netResolver(authority); (err == nil) != ok {
			t.Errorf("%q: %v", authority, err)
		}
	}
	tg := target(t, "dns:///x")
	tg.URL.Host = "x:" // what url.Parse would let pass
	if _, err := DefaultDNS().open(tg, resolver.BuildOptions{}); !errors.Is(err, errNoPort) {
		t.Error(err)
	}
}
