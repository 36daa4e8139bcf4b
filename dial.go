package callboard

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/internal/tcpopt"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

const (
	defaultPingTimeout  = 20 * time.Second
	defaultStreamWindow = frame.DefaultWindow
	leastWindow         = 64 << 10 // smaller options are ignored, as in grpc-go
)

// dial connects to one address and performs the transport's handshake.
func (cc *ClientConn) dial(ctx context.Context, a grpcresolver.Address) (net.Conn, credentials.AuthInfo, conn.FailureKind, error) {
	nc, err := cc.dialSocket(ctx, a)
	if err != nil {
		return nil, nil, conn.DialFailed, err
	}
	if k := cc.opts.keepalive; k.Time > 0 {
		timeout := k.Timeout
		if timeout <= 0 {
			timeout = defaultPingTimeout
		}
		// Without the option a dead peer is noticed by keepalive alone.
		_ = tcpopt.SetUserTimeout(nc, timeout)
	}
	name := cc.authority
	if a.ServerName != "" && cc.opts.authority == "" {
		name = a.ServerName
	}
	secured, auth, err := cc.opts.creds.ClientHandshake(ctx, name, nc)
	if err == nil {
		err = agreedOnH2(auth, "server")
	}
	if err != nil {
		_ = nc.Close()
		return nil, nil, conn.HandshakeFailed, fmt.Errorf("handshake with %q: %w", name, err)
	}
	return secured, auth, 0, nil
}

func (cc *ClientConn) dialSocket(ctx context.Context, a grpcresolver.Address) (net.Conn, error) {
	if dial := cc.opts.dialer; dial != nil {
		addr := a.Addr
		switch { // as dialers of grpc-go are used to
		case !cc.unixTarget():
		case filepath.IsAbs(addr):
			addr = "unix://" + addr
		default:
			addr = "unix:" + addr
		}
		return dial(ctx, addr)
	}
	network, addr := cc.network(a.Addr)
	if network == "tcp" {
		proxy, err := cc.proxies.of(addr)
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		if proxy != nil {
			return cc.dialBy(ctx, proxy, addr)
		}
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// network says what kind of socket an address means. The unix resolvers give
// bare paths; elsewhere a "unix:" prefix says so.
func (cc *ClientConn) network(addr string) (network, rest string) {
	if cc.unixTarget() {
		return "unix", addr
	}
	if p, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", strings.TrimPrefix(p, "//")
	}
	return "tcp", addr
}

func (cc *ClientConn) unixTarget() bool {
	return cc.parsed.URL.Scheme == "unix" || cc.parsed.URL.Scheme == "unix-abstract"
}

// agreedOnH2 holds TLS to HTTP/2 (RFC 9113 3.2): a connection that agreed on
// nothing by ALPN may be anything.
func agreedOnH2(auth credentials.AuthInfo, peer string) error {
	if ti, ok := auth.(credentials.TLSInfo); ok && ti.State.NegotiatedProtocol != "h2" {
		return fmt.Errorf("the %s did not negotiate h2 by ALPN", peer)
	}
	return nil
}

// connConfig makes the configuration of a new connection, of which dial has
// done the handshake.
func (cc *ClientConn) connConfig(auth credentials.AuthInfo) conn.Config {
	cfg := cc.plainConfig()
	if len(cc.opts.stats) > 0 {
		st := &connStats{handlers: cc.opts.stats, client: true, contain: cc.contain}
		cfg.Handshake = func(nc net.Conn) (net.Conn, credentials.AuthInfo, error) {
			st.begin(nc, auth)
			return nc, auth, nil
		}
		cfg.OnDown = func(*stream.ConnInfo, error) { st.end() }
	}
	return cfg
}

// plainConfig is the part of it that is the same for all connections.
func (cc *ClientConn) plainConfig() conn.Config {
	o := &cc.opts
	window, connWindow, connMax := windows(o.window, o.connWindow)
	l := &o.limits
	headerList := l.headerList(o.maxHeaderList)
	cfg := conn.Config{
		Machine: connfsm.Config{
			Role: connfsm.Client, InitialWindow: window, ConnWindow: connWindow, MaxConnWindow: connMax,
			MaxHeaderListSize: headerList, HandshakeTimeout: -1,
			Keepalive: connfsm.Keepalive{
				Time: o.keepalive.Time, Timeout: o.keepalive.Timeout,
				PermitWithoutStream: o.keepalive.PermitWithoutStream,
			},
		},
		Stream:    streamfsm.Config{Role: streamfsm.Client, InitialWindow: window},
		Reader:    l.reader(headerList, o.readBuffer, defaultMaxRecv, cc.receiveLimit, window, nil),
		SendLimit: o.writeBuffer,
	}
	l.conn(&cfg, cc.sys.memory, window, clientStreams)
	return cfg
}

// receiveLimit is the largest receive limit of any call so far: the reader
// allocates for no message beyond it. The call's own limit is checked when its
// message is decoded.
func (cc *ClientConn) receiveLimit(frame.StreamID) int { return int(cc.maxRecv.Load()) }

func (cc *ClientConn) raiseReceiveLimit(n int) {
	for {
		old := cc.maxRecv.Load()
		if int64(n) <= old || cc.maxRecv.CompareAndSwap(old, int64(n)) {
			return
		}
	}
}

func windows(stream, connection int32) (window uint32, first, most int) {
	window = defaultStreamWindow
	if stream >= leastWindow-1 {
		window = uint32(stream)
	}
	if connection >= leastWindow-1 {
		return window, int(connection), int(connection)
	}
	return window, 0, 0
}

// leastPingTime is gRFC A8's floor for keepalive: a peer may well refuse more.
const leastPingTime = 10 * time.Second
