package callboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/internal/tcpopt"
	"github.com/callboard-rpc/callboard/resolver"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

const (
	defaultPingTimeout  = 20 * time.Second
	defaultStreamWindow = 4 << 20
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
	name := a.ServerName
	if name == "" {
		name = cc.authority
	}
	secured, auth, err := cc.opts.creds.ClientHandshake(ctx, name, nc)
	if err == nil {
		err = checkALPN(auth)
	}
	if err != nil {
		_ = nc.Close()
		return nil, nil, conn.HandshakeFailed, fmt.Errorf("handshake with %q: %w", name, err)
	}
	return secured, auth, 0, nil
}

func (cc *ClientConn) dialSocket(ctx context.Context, a grpcresolver.Address) (net.Conn, error) {
	network, addr := cc.network(a.Addr)
	if cc.opts.dialer == nil {
		return netDial(ctx, network, addr)
	}
	if network == "unix" {
		addr = "unix:" + addr
	}
	return cc.opts.dialer(ctx, addr)
}

// network says what kind of socket an address means. The unix resolvers give
// bare paths; elsewhere a "unix:" prefix says so.
func (cc *ClientConn) network(addr string) (network, rest string) {
	switch cc.parsed.URL.Scheme {
	case "unix", "unix-abstract":
		return "unix", addr
	}
	if p, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", strings.TrimPrefix(p, "//")
	}
	return "tcp", addr
}

// errNoALPN: RFC 9113 3.2 demands that h2 is agreed on by ALPN.
var errNoALPN = errors.New("the server did not negotiate h2 by ALPN")

// checkALPN holds TLS to HTTP/2: a connection that agreed on nothing may be
// anything.
func checkALPN(auth credentials.AuthInfo) error {
	ti, ok := auth.(credentials.TLSInfo)
	if ok && ti.State.NegotiatedProtocol != "h2" {
		return errNoALPN
	}
	return nil
}

func resolverConfig(cc *ClientConn, b grpcresolver.Builder) resolver.Config {
	return resolver.Config{
		Target: cc.parsed, Builder: b, Parse: cc.parseServiceConfig, Table: cc.sys.table,
		Options: grpcresolver.BuildOptions{DialCreds: cc.opts.creds, Dialer: cc.opts.dialer, Authority: cc.authority},
	}
}

// connConfig makes the configuration of a new connection.
func (cc *ClientConn) connConfig() conn.Config {
	o := &cc.opts
	window, connWindow, connMax := windows(o.window, o.connWindow)
	headerList := o.limits.headerList
	if o.maxHeaderList != 0 {
		headerList = o.maxHeaderList
	}
	budget := flow.NewBudget(o.limits.connBudget, cc.sys.budget)
	return conn.Config{
		Machine: connfsm.Config{
			Role: connfsm.Client, InitialWindow: window, ConnWindow: connWindow, MaxConnWindow: connMax,
			MaxHeaderListSize: headerList, Budget: budget, HandshakeTimeout: -1,
			Keepalive: connfsm.Keepalive{
				Time: clientPingTime(o.keepalive.Time), Timeout: o.keepalive.Timeout,
				PermitWithoutStream: o.keepalive.PermitWithoutStream,
			},
			GlitchBurst: o.limits.glitchBurst, GlitchRate: o.limits.glitchPerSecond,
		},
		Stream:    streamfsm.Config{Role: streamfsm.Client, InitialWindow: window},
		Reader:    o.limits.reader(headerList, o.readBuffer, defaultMaxRecv, cc.receiveLimit, budget),
		SendLimit: o.writeBuffer,
		Budget:    budget,
	}
}

func (l *limits) reader(headerList uint32, bufferSize, maxMessage int, limit func(frame.StreamID) int, budget *flow.Budget) frame.ReaderConfig {
	return frame.ReaderConfig{
		MaxFrameSize: frame.MinMaxFrameSize, MaxHeaderList: int(headerList), MaxHeaderFields: l.headerFields,
		MaxContinuations: l.continuations, MaxSettings: l.settings, HeaderTableSize: frame.DefaultTableSize,
		MaxMessage: maxMessage, Limit: limit, BufferSize: bufferSize, Charge: chargeReceived(budget), Refund: budget.Refund,
	}
}

// chargeReceived takes room for a message from the budget. What was only
// announced may take half of it: the other half is for octets that arrive, so
// that announcements cannot shut others out. One message within the receive
// limit always fits a connection that holds nothing else.
func chargeReceived(b *flow.Budget) func(n int, whole bool) bool {
	return func(n int, whole bool) bool {
		if whole && int64(n) > b.Left()/2 {
			return false
		}
		if b.Charge(n) {
			return true
		}
		if b.Used() > 0 {
			return false
		}
		b.Force(n)
		return true
	}
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
