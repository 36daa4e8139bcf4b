package callboard_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/resolver/manual"
)

// nameserver is a DNS server on loopback.
type nameserver struct {
	addr    string
	looks   chan struct{} // gets one when addresses are asked for, if somebody waits
	mu      sync.Mutex
	records []dns.RR
}

func startNameserver(t *testing.T, records ...string) *nameserver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ns := &nameserver{addr: pc.LocalAddr().String(), looks: make(chan struct{})}
	ns.set(t, records...)
	up, down := make(chan struct{}), make(chan error, 1)
	srv := &dns.Server{PacketConn: pc, Handler: ns, NotifyStartedFunc: func() { close(up) }}
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
	return ns
}

func (ns *nameserver) set(t *testing.T, records ...string) {
	t.Helper()
	var rrs []dns.RR
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.records = rrs
}

// ServeDNS implements dns.Handler.
func (ns *nameserver) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	resp := new(dns.Msg).SetReply(req)
	resp.Authoritative, resp.Rcode = true, dns.RcodeNameError
	for _, rr := range ns.records {
		if strings.EqualFold(rr.Header().Name, req.Question[0].Name) {
			resp.Rcode = dns.RcodeSuccess
			if rr.Header().Rrtype == req.Question[0].Qtype {
				resp.Answer = append(resp.Answer, rr)
			}
		}
	}
	_ = w.WriteMsg(resp) // a client that is gone
	if req.Question[0].Qtype == dns.TypeA {
		select {
		case ns.looks <- struct{}{}:
		default:
		}
	}
}

// asked waits until addresses are asked for.
func (ns *nameserver) asked(ctx context.Context) {
	select {
	case <-ns.looks:
	case <-ctx.Done():
	}
}

// pods are servers of one port on addresses of their own, as in a cluster. Each
// answers with its address.
func pods(t *testing.T, ips ...string) (port string) {
	t.Helper()
	for _, ip := range ips {
		lis, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			if port == "" {
				t.Fatal(err)
			}
			t.Skipf("no second loopback address: %v", err)
		}
		_, port, _ = net.SplitHostPort(lis.Addr().String())
		if port == "" {
			t.Fatal(lis.Addr())
		}
		srv := grpc.NewServer()
		srv.RegisterService(playbook{unary: func(context.Context, *text) (*text, error) { return wrapperspb.String(ip), nil }}.desc(), nil)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(lis) }()
		t.Cleanup(func() {
			srv.Stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
	return port
}

// whoAnswers is the address of the pod that served a call.
func whoAnswers(ctx context.Context, cc grpc.ClientConnInterface, opts ...grpc.CallOption) (string, error) {
	out := new(text)
	err := cc.Invoke(ctx, unaryPath, wrapperspb.String("who"), out, opts...)
	return out.Value, err
}

// A pod that comes after the channel gets calls without anything having failed.
func TestDNSNewPodIsFound(t *testing.T) {
	port := pods(t, "127.0.0.1", "127.0.0.2")
	ns := startNameserver(t, "svc.test. 1 A 127.0.0.1")
	cc := ours(t, fmt.Sprintf("dns://%s/svc.test.:%s", ns.addr, port),
		callboard.WithDNSPolling(100*time.Millisecond), callboard.WithDNSMinResolutionInterval(time.Hour))
	ctx := soon(t)
	if who, err := whoAnswers(ctx, cc); who != "127.0.0.1" || err != nil {
		t.Fatal(who, err)
	}
	ns.set(t, "svc.test. 1 A 127.0.0.2")
	for who := ""; who != "127.0.0.2"; {
		ns.asked(ctx)
		var err error
		if who, err = whoAnswers(ctx, cc); err != nil {
			t.Fatal(err)
		}
	}
	// And a name server that forgets the name takes nothing away. By its second
	// look the client has heard of the first.
	ns.set(t)
	for range 2 {
		ns.asked(ctx)
		if who, err := whoAnswers(ctx, cc); who != "127.0.0.2" || err != nil {
			t.Fatal(who, err)
		}
	}
}

// The choice of a service config that is for everybody holds for the first call
// already, and the one for nobody does not.
func TestDNSServiceConfigHolds(t *testing.T) {
	port := pods(t, "127.0.0.1")
	const limit = `{\"methodConfig\":[{\"name\":[{}],\"maxRequestMessageBytes\":%d}]}`
	ns := startNameserver(t, "svc.test. 1 A 127.0.0.1",
		`_grpc_config.svc.test. 1 TXT "grpc_config=[{\"percentage\":0,\"serviceConfig\":`+fmt.Sprintf(limit, 1000)+
			`}," "{\"percentage\":100,\"serviceConfig\":`+fmt.Sprintf(limit, 1)+`}]"`)
	target := fmt.Sprintf("dns://%s/svc.test.:%s", ns.addr, port)
	for name, tt := range map[string]struct {
		opts []callboard.DialOption
		want codes.Code
	}{
		"taken":              {nil, codes.ResourceExhausted},
		"not looked for":     {[]callboard.DialOption{callboard.WithDNSServiceConfig(false)}, codes.OK},
		"disabled":           {[]callboard.DialOption{callboard.WithDisableServiceConfig()}, codes.OK},
		"instead of default": {[]callboard.DialOption{callboard.WithDefaultServiceConfig(`{}`)}, codes.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			if err := sent(ours(t, target, tt.opts...), soon(t)); status.Code(err) != tt.want {
				t.Error(err)
			}
		})
	}
}

// A name that does not exist fails calls, except those that wait: they go on
// when it does.
func TestDNSNameAppears(t *testing.T) {
	port := pods(t, "127.0.0.1")
	ns := startNameserver(t)
	cc := ours(t, fmt.Sprintf("dns://%s/svc.test.:%s", ns.addr, port))
	if err := sent(cc, soon(t)); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	ns.set(t, "svc.test. 1 A 127.0.0.1")
	if err := sent(cc, soon(t), grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}

// Targets that name addresses themselves, and lists that a program keeps.
func TestTargetsWithoutLookup(t *testing.T) {
	port := pods(t, "127.0.0.1")
	addr := "127.0.0.1:" + port
	fleet := manual.New("fleet", addr)
	for _, target := range []string{addr, "dns:///" + addr, "ipv4:" + addr, "ipv4:///" + addr, "passthrough:///" + addr, "fleet:///x"} {
		if who, err := whoAnswers(soon(t), ours(t, target, callboard.WithResolvers(fleet))); who != "127.0.0.1" || err != nil {
			t.Errorf("%s: %s %v", target, who, err)
		}
	}
	for _, target := range []string{"ipv4:nonsense", "ipv6:" + addr, "dns:///http://x", "unix://host/x"} {
		if err := sent(ours(t, target), soon(t)); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", target, err)
		}
	}
}
