package callboard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
	grpcresolver "google.golang.org/grpc/resolver"
)

// proxies says which addresses are reached by way of an HTTP proxy, which is
// asked to CONNECT (gRFC A1). As in grpc-go the environment decides, by
// HTTPS_PROXY and NO_PROXY or their lower-case forms, when the client is made; a
// dialer of the application's own is never proxied.
//
// With the dns scheme the target's name decides, and the proxy resolves it,
// unless WithLocalDNSResolution says otherwise; with others each address.
type proxies struct {
	find   func(*url.URL) (*url.URL, error) // nil: none at all
	target *url.URL                         // the target's, with the dns scheme; nil: it has none
	byName bool                             // target decides
}

const (
	dnsScheme      = "dns"
	dnsDefaultPort = "443"
)

func (cc *ClientConn) findProxies() (p proxies, err error) {
	if cc.opts.noProxy || cc.opts.dialer != nil || cc.unixTarget() {
		return p, nil
	}
	p.find = httpproxy.FromEnvironment().ProxyFunc()
	if cc.parsed.URL.Scheme != dnsScheme {
		return p, nil
	}
	p.byName = true
	if p.target, err = p.lookUp(withPort(cc.parsed.Endpoint())); err != nil {
		return p, fmt.Errorf("proxy: %w", err)
	}
	return p, nil
}

func (p *proxies) lookUp(addr string) (*url.URL, error) {
	return p.find(&url.URL{Scheme: "https", Host: addr})
}

// of is the proxy for an address, or nil.
func (p *proxies) of(addr string) (*url.URL, error) {
	switch {
	case p.find == nil:
		return nil, nil
	case p.byName:
		return p.target, nil
	default:
		return p.lookUp(addr)
	}
}

// withPort adds the port that dns targets have without one.
func withPort(endpoint string) string {
	if _, _, err := net.SplitHostPort(endpoint); err == nil {
		return endpoint
	}
	if h := endpoint; len(h) > 1 && h[0] == '[' && h[len(h)-1] == ']' {
		endpoint = h[1 : len(h)-1]
	}
	return net.JoinHostPort(endpoint, dnsDefaultPort)
}

// unresolved takes the place of the dns resolver where a proxy is to resolve the
// name: the one address is the name.
type unresolved struct {
	grpcresolver.Builder
	addr string
}

// Build implements grpc-go's resolver.Builder.
func (u unresolved) Build(_ grpcresolver.Target, cc grpcresolver.ClientConn, _ grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	err := cc.UpdateState(grpcresolver.State{Addresses: []grpcresolver.Address{{Addr: u.addr}}})
	return settledName{}, err
}

type settledName struct{}

func (settledName) ResolveNow(grpcresolver.ResolveNowOptions) {}

func (settledName) Close() {}

// resolverFor is b, unless a proxy resolves the target's name.
func (cc *ClientConn) resolverFor(b grpcresolver.Builder) grpcresolver.Builder {
	if cc.proxies.target == nil || cc.opts.localDNS {
		return b
	}
	return unresolved{Builder: b, addr: withPort(cc.parsed.Endpoint())}
}

// dialBy reaches addr by way of a proxy.
func (cc *ClientConn) dialBy(ctx context.Context, proxy *url.URL, addr string) (net.Conn, error) {
	at := proxy.Host
	if proxy.Port() == "" {
		port := "80"
		if proxy.Scheme == "https" {
			port = "443"
		}
		at = net.JoinHostPort(proxy.Hostname(), port)
	}
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return nil, fmt.Errorf("proxy %s: scheme %q is not supported", at, proxy.Scheme)
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", at, err)
	}
	through, err := cc.connectBy(ctx, nc, proxy, addr)
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("proxy %s: CONNECT %s: %w", at, addr, err)
	}
	return through, nil
}

// mostOfAnAnswer is how many octets a proxy's answer to CONNECT may have.
const mostOfAnAnswer = 64 << 10

// connectBy asks the proxy at the other end of nc for addr (RFC 9110 9.3.6).
func (cc *ClientConn) connectBy(ctx context.Context, nc net.Conn, proxy *url.URL, addr string) (net.Conn, error) {
	if proxy.Scheme == "https" {
		t := tls.Client(nc, &tls.Config{ServerName: proxy.Hostname(), MinVersion: tls.VersionTLS12})
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		nc = t
	}
	interrupted := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer interrupted()
	req := &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Host: addr}, Host: addr, Header: http.Header{"User-Agent": {cc.userAgent}},
	}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := req.WithContext(ctx).Write(nc); err != nil {
		return nil, err
	}
	r := bufio.NewReader(io.LimitReader(nc, mostOfAnAnswer))
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // a successful CONNECT has none
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	if !interrupted() {
		return nil, ctx.Err()
	}
	if n := r.Buffered(); n > 0 {
		early, _ := r.Peek(n)
		return &headStart{Conn: nc, early: bytes.NewReader(bytes.Clone(early))}, nil
	}
	return nc, nil
}

// headStart is a connection of which something was read already.
type headStart struct {
	net.Conn
	early *bytes.Reader
}

func (h *headStart) Read(p []byte) (int, error) {
	if h.early.Len() > 0 {
		return h.early.Read(p)
	}
	return h.Conn.Read(p)
}
