package testpeer

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience bounds every wait of a script that names no limit of its own.
const patience = 10 * time.Second

// Role says which end of the connection a peer plays.
type Role uint8

// The two ends of a connection.
const (
	ClientRole Role = iota
	ServerRole
)

// Peer is one scripted end of an HTTP/2 connection. Its methods are called from
// one goroutine, the script's; a reader goroutine collects what arrives.
type Peer struct {
	t    testing.TB
	nc   net.Conn
	role Role
	rude bool
	// stop ends the script after a failure: FailNow on the test's goroutine,
	// Goexit on one of the peer's own.
	stop func()

	log *transcript
	in  *inbox

	// wmu guards everything below: the script and the reader's ACKs share the
	// writing side.
	wmu      sync.Mutex
	out      *http2.Framer
	frames   bytes.Buffer // what out wrote and the socket has not seen
	batching bool
	greeted  bool     // our first SETTINGS are out
	hold     bool     // no automatic ACK now
	owed     []func() // ACKs not written yet
	block    bytes.Buffer
	hp       *hpack.Encoder
	limit    time.Duration
	pings    uint64

	// The script's own: what its expectations have taken from the inbox.
	partial map[uint32][]byte // begun gRPC messages
	ended   map[uint32]bool   // streams whose END_STREAM was taken
}

// Option changes how a peer connects or behaves.
type Option func(*settings)

type settings struct {
	tls      *tls.Config
	rude     bool
	deaf     bool
	patience time.Duration
}

// TLS makes the connection a TLS one; the configuration is used as it is, ALPN
// included.
func TLS(c *tls.Config) Option { return func(s *settings) { s.tls = c } }

// Rude makes a peer that never acknowledges SETTINGS or PING by itself.
func Rude() Option { return func(s *settings) { s.rude = true } }

// Deaf makes a peer that reads nothing from its socket until
// [Peer.StartReading]: TCP back-pressure builds up behind it.
func Deaf() Option { return func(s *settings) { s.deaf = true } }

// Patience replaces the ten seconds that every wait and write is given.
func Patience(d time.Duration) Option { return func(s *settings) { s.patience = d } }

func configure(opts []Option) settings {
	s := settings{patience: patience}
	for _, o := range opts {
		o(&s)
	}
	return s
}

// Dial connects to a server under test. Nothing is written before the script
// does so; with [TLS] the TLS handshake is.
func Dial(t testing.TB, addr string, opts ...Option) *Peer {
	t.Helper()
	s := configure(opts)
	nc, err := net.DialTimeout("tcp", addr, s.patience)
	if err != nil {
		t.Fatalf("testpeer: dial %s: %v", addr, err)
	}
	if s.tls != nil {
		tc := tls.Client(nc, s.tls)
		if err := shake(tc, s.patience); err != nil {
			_ = nc.Close()
			t.Fatalf("testpeer: TLS handshake with %s: %v", addr, err)
		}
		nc = tc
	}
	return start(t, nc, ClientRole, s, t.FailNow)
}

// Client plays the client on a connection that the test made, a net.Pipe in a
// synctest bubble for example.
func Client(t testing.TB, nc net.Conn, opts ...Option) *Peer {
	return start(t, nc, ClientRole, configure(opts), t.FailNow)
}

// Server plays the server on a connection that the test made.
func Server(t testing.TB, nc net.Conn, opts ...Option) *Peer {
	return start(t, nc, ServerRole, configure(opts), t.FailNow)
}

func shake(tc *tls.Conn, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return tc.HandshakeContext(ctx)
}

func start(t testing.TB, nc net.Conn, role Role, s settings, stop func()) *Peer {
	p := &Peer{
		t: t, nc: nc, role: role, rude: s.rude, stop: stop,
		limit: s.patience, log: newTranscript(),
		hold:    true, // until our first SETTINGS
		partial: map[uint32][]byte{}, ended: map[uint32]bool{},
	}
	p.out = http2.NewFramer(&p.frames, nil)
	p.out.AllowIllegalWrites = true
	p.hp = hpack.NewEncoder(&p.block)
	p.in = newInbox(p, s.deaf)
	p.in.start()
	t.Cleanup(p.Close)
	return p
}

// NetConn is the connection underneath: a *net.TCPConn or a *tls.Conn, unless
// the test brought its own.
func (p *Peer) NetConn() net.Conn { return p.nc }

// Close closes the socket and waits for the reader. It may be called again.
func (p *Peer) Close() {
	_ = p.nc.Close()
	p.in.join()
}

// CloseWrite sends a FIN and goes on reading.
func (p *Peer) CloseWrite() {
	p.t.Helper()
	cw, ok := p.nc.(interface{ CloseWrite() error })
	if !ok {
		p.fail("%T cannot be closed for writing alone", p.nc)
	}
	p.log.note("close write")
	_ = cw.CloseWrite()
}

// ResetTCP closes the socket so that the other side sees a TCP reset.
func (p *Peer) ResetTCP() {
	nc := p.nc
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	p.log.note("TCP reset")
	_ = nc.Close()
	p.in.join()
}

// Transcript is the conversation so far, one line per frame.
func (p *Peer) Transcript() string { return p.log.String() }

// fail reports a broken expectation with the transcript and ends the script.
func (p *Peer) fail(format string, args ...any) {
	p.t.Helper()
	p.t.Errorf("testpeer: "+format+"\n%s", append(args, p.log)...)
	p.stop()
	runtime.Goexit() // a test double's FailNow may return
}
