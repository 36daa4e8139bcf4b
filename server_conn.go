package callboard

import (
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/internal/tcpopt"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// serverConn is what the RPCs of one accepted connection share.
type serverConn struct {
	srv   *Server
	peer  *peer.Peer // set when the transport is up, before the first RPC
	stats connStats
}

// job is an RPC that waits for a worker.
type job struct {
	sc   *serverConn
	call *stream.Call
}

// Serve implements stream.Handler. It runs on an actor's turn.
func (sc *serverConn) Serve(c *stream.Call) {
	sc.srv.running.Add(1)
	sc.srv.workers.Submit(job{sc: sc, call: c})
}

// accepted makes an accepted socket's configuration. It runs on the listener's
// turn.
func (s *Server) accepted(nc net.Conn) (conn.Config, bool) {
	sc := &serverConn{srv: s, stats: connStats{handlers: s.opts.stats, contain: s.contain}}
	cfg := s.connConfig()
	cfg.NC, cfg.Handler = nc, sc
	cfg.OnUp, cfg.OnDown = sc.up, sc.down
	if s.opts.creds != nil || len(s.opts.stats) > 0 {
		cfg.Handshake = sc.handshake
	}
	if s.opts.creds != nil {
		cfg.NC = &dispatchable{Conn: nc}
	}
	// A peer that has vanished while we write is given up after as long as one
	// that leaves PINGs unanswered (gRFC A18).
	_ = tcpopt.SetUserTimeout(nc, orElse(s.opts.keepalive.Timeout, defaultPingTimeout))
	return cfg, true
}

// connConfig is the part that is the same for all connections, as long as
// jitter is not.
func (s *Server) connConfig() conn.Config {
	o := &s.opts
	l := &o.limits
	window, connWindow, connMax := windows(o.window, o.connWindow)
	streams, headerList := l.streams(o.maxStreams), l.headerList(o.maxHeaderList)
	handshake := orElse(o.handshake, l.HandshakeTime)
	rd := l.reader(headerList, o.readBuffer, o.maxRecv, nil, window, nil)
	rd.HeaderTableSize = orElse(o.tableSize, frame.DefaultTableSize)
	cfg := conn.Config{
		Timeout: handshake,
		Machine: connfsm.Config{
			Role: connfsm.Server, InitialWindow: window, ConnWindow: connWindow, MaxConnWindow: connMax,
			HeaderTableSize: rd.HeaderTableSize, MaxHeaderListSize: headerList,
			MaxConcurrentStreams: streams, HandshakeTimeout: handshake,
			Keepalive:   connfsm.Keepalive{Time: o.keepalive.Time, Timeout: o.keepalive.Timeout},
			Enforcement: connfsm.Enforcement{MinTime: o.policy.MinTime, PermitWithoutStream: o.policy.PermitWithoutStream},
			MaxIdle:     o.keepalive.MaxConnectionIdle, MaxAge: jittered(o.keepalive.MaxConnectionAge),
			AgeGrace: o.keepalive.MaxConnectionAgeGrace,
		},
		Stream:    streamfsm.Config{Role: streamfsm.Server, InitialWindow: window},
		Reader:    rd,
		SendLimit: o.writeBuffer,
	}
	l.conn(&cfg, s.sys.memory, window, streams)
	return cfg
}

func orElse[T comparable](v, otherwise T) T {
	var none T
	if v == none {
		return otherwise
	}
	return v
}

// jittered spreads the ends of connections that began together by 10 % to
// either side (gRFC A9).
func jittered(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + time.Duration((rand.Float64()*0.2-0.1)*float64(d))
}

// handshake secures the socket and introduces the connection to the stats
// handlers. It runs on the reader's goroutine, before anything is read: what
// the handlers tag is there for the first RPC.
func (sc *serverConn) handshake(nc net.Conn) (net.Conn, credentials.AuthInfo, error) {
	var auth credentials.AuthInfo
	if creds := sc.srv.opts.creds; creds != nil {
		socket := nc.(*dispatchable)
		secured, ai, err := creds.ServerHandshake(socket.Conn)
		if errors.Is(err, credentials.ErrConnDispatched) {
			socket.dispatch()
		}
		if err == nil {
			err = agreedOnH2(ai, "client")
		}
		if err != nil {
			return nil, nil, err
		}
		nc, auth = secured, ai
	}
	sc.stats.begin(nc, auth)
	return nc, auth, nil
}

// up runs on the connection's turn.
func (sc *serverConn) up(info *stream.ConnInfo) {
	sc.peer = peerOf(info)
	sc.srv.self.Tell(&connUp{})
}

// down runs on the connection's turn.
func (sc *serverConn) down(*stream.ConnInfo, error) {
	sc.srv.self.Tell(&connDown{})
	sc.stats.end()
}
