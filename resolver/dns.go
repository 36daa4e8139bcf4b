package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
)

// DNS says how the "dns" scheme looks names up.
type DNS struct {
	Schedule
	// ServiceConfig looks for a service config in TXT records of
	// _grpc_config.<host> (gRFC A2). A channel that has service configs
	// disabled does not.
	ServiceConfig bool
	// Balancers looks for SRV records of _grpclb._tcp.<host> (gRFC A5, A26).
	// What is found is attached as package grpclb/state of grpc-go has it.
	Balancers bool

	connect func(authority string) (lookups, error) // nil: the network
	draw    func(n int) int                         // nil: random
}

// DefaultDNS looks once, polls every 30 s and more, heeds a lost connection 30 s
// after the last look at the earliest, gives a look 30 s, and asks for a
// service config unless the environment has GRPC_ENABLE_TXT_SERVICE_CONFIG
// false. But for the polling these are grpc-go's values.
func DefaultDNS() DNS {
	return DNS{
		Schedule:      Schedule{Poll: 30 * time.Second, MinInterval: 30 * time.Second, Timeout: defaultTimeout},
		ServiceConfig: !strings.EqualFold(os.Getenv("GRPC_ENABLE_TXT_SERVICE_CONFIG"), "false"),
	}
}

const (
	defaultPort    = "443"
	defaultDNSPort = "53"
	// maxAddresses is how many addresses one answer may have.
	maxAddresses = 1000
	// optionalGrace is how long the records that need not be there are waited
	// for once the addresses are.
	optionalGrace = 5 * time.Second
)

// lookups is what is needed of a net.Resolver.
type lookups interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

func (d DNS) builder() resolver.Builder { return Polling("dns", d.Schedule, d.open) }

func (d DNS) open(t resolver.Target, o resolver.BuildOptions) (Source, error) {
	host, port, err := splitHostPort(t.Endpoint(), defaultPort)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return literal(net.JoinHostPort(ip.String(), port)), nil
	}
	connect, draw := d.connect, d.draw
	if connect == nil {
		connect = netResolver
	}
	if draw == nil {
		draw = rand.IntN
	}
	nr, err := connect(t.URL.Host)
	if err != nil {
		return nil, fmt.Errorf("dns: server: %w", err)
	}
	hostname, _ := os.Hostname() // without a name no choice by name fits
	s := &dnsSource{
		dns: nr, server: t.URL.Host, host: host, port: port, balancers: d.Balancers,
		client: client{hostname: hostname, draw: draw(100)},
	}
	s.txt = d.ServiceConfig && !o.DisableServiceConfig
	return s, nil
}

// literal answers for a target that is an IP address already.
func literal(addr string) Source {
	return SourceFunc(func(context.Context) (Answer, error) {
		return Answer{Endpoints: []resolver.Endpoint{endpoint(resolver.Address{Addr: addr})}, Final: true}, nil
	})
}

// netResolver asks the authority's server, or those of the machine when there
// is no authority.
func netResolver(authority string) (lookups, error) {
	if authority == "" {
		return net.DefaultResolver, nil
	}
	host, port, err := splitHostPort(authority, defaultDNSPort)
	if err != nil {
		return nil, err
	}
	server := net.JoinHostPort(host, port)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}, nil
}

// dnsSource is a Source that asks DNS servers. What an earlier look has found
// of the optional records is kept for one that they are not there for by an
// accident.
type dnsSource struct {
	dns        lookups
	server     string // the authority; empty: the machine's
	host, port string
	txt        bool
	balancers  bool
	client     client

	config    string
	configErr error
	lb        *attributes.Attributes
}

// Resolve implements Source.
func (s *dnsSource) Resolve(ctx context.Context) (Answer, error) {
	optional, enough := context.WithCancel(ctx)
	defer enough()
	var wg sync.WaitGroup
	var crash error
	// What these write is read when they are through.
	wg.Go(func() {
		crash = contained(func() error {
			s.lookupConfig(optional)
			s.lookupBalancers(optional)
			return nil
		})
	})
	addrs, skipped, err := s.lookupHost(ctx, s.host, s.port)
	if err != nil && !s.balancers {
		enough()
	}
	patience := time.AfterFunc(optionalGrace, enough)
	defer patience.Stop()
	wg.Wait()
	if crash != nil {
		return Answer{}, fmt.Errorf("dns: %w", crash)
	}
	// Balancers know the addresses that the name itself may lack.
	if err != nil && s.lb == nil {
		return Answer{}, fmt.Errorf("dns: %w", s.blame(err))
	}
	ans := Answer{ServiceConfig: s.config, ConfigErr: s.configErr, Attributes: s.lb, Skipped: skipped}
	for _, a := range addrs {
		ans.Endpoints = append(ans.Endpoints, endpoint(a))
	}
	return ans, nil
}

// blame names the server that was asked: package net names the machine's even
// when it dialled another.
func (s *dnsSource) blame(err error) error {
	e, ok := errors.AsType[*net.DNSError](err)
	if !ok || s.server == "" {
		return err
	}
	blamed := *e
	blamed.Server = s.server
	return &blamed
}

func endpoint(a resolver.Address) resolver.Endpoint {
	return resolver.Endpoint{Addresses: []resolver.Address{a}}
}

var errNoRecords = errors.New("no usable A or AAAA records")

// lookupHost gives the addresses of a name. A record that is no IP address is
// skipped, as are those beyond the limit. A name that does not exist is an
// error: what is known to have worked stays in force.
func (s *dnsSource) lookupHost(ctx context.Context, host, port string) (addrs []resolver.Address, skipped int, err error) {
	ips, err := s.dns.LookupHost(ctx, host)
	if err != nil {
		return nil, 0, err
	}
	seen := make(map[netip.Addr]bool, len(ips))
	for _, text := range ips {
		ip, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			skipped++
		case seen[ip]:
		case len(addrs) == maxAddresses:
			skipped++
		default:
			seen[ip] = true
			addrs = append(addrs, resolver.Address{Addr: net.JoinHostPort(text, port)})
		}
	}
	if len(addrs) == 0 {
		return nil, skipped, fmt.Errorf("%s: %w", host, errNoRecords)
	}
	return addrs, skipped, nil
}

// absent reports whether a record is known not to be there, which an optional
// one need not be. Other failures say nothing about it.
func absent(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound && !e.IsTemporary && !e.IsTimeout
}
