package callboard_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// What a supervisor is told of each way to fail, over real sockets.
func TestFailuresAreTyped(t *testing.T) {
	scripted := func(t *testing.T, script func(p *testpeer.Peer)) string {
		l := testpeer.Listen(t, testpeer.Rude())
		l.Script(func(p *testpeer.Peer) {
			script(p)
			p.ExpectClosed(10 * time.Second)
		})
		return l.Addr()
	}
	// serving plays a server up to the point where the connection is READY.
	serving := func(then func(p *testpeer.Peer)) func(t *testing.T) string {
		return func(t *testing.T) string {
			return scripted(t, func(p *testpeer.Peer) { p.Handshake(); p.SettingsAck(); then(p) })
		}
	}
	silent := func(t *testing.T) string { // accepts by its backlog, says nothing
		return testpeer.Listen(t).Addr()
	}
	quick := callboard.WithConnectParams(callboard.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: 200 * time.Millisecond})
	tests := []struct {
		name  string
		addr  func(t *testing.T) string
		opts  []callboard.DialOption
		kind  callboard.FailureKind
		lived bool
		check func(f callboard.Failure) bool
	}{
		{
			"dial refused", func(t *testing.T) string { return closedPort(t) }, nil, callboard.DialFailed, false,
			func(f callboard.Failure) bool { return errors.Is(f.Cause, syscall.ECONNREFUSED) && f.Next > 0 },
		},
		{
			"certificate unknown", func(t *testing.T) string {
				srv := httptest.NewUnstartedServer(nil)
				srv.EnableHTTP2 = true
				srv.Config.ErrorLog = log.New(io.Discard, "", 0)
				srv.StartTLS()
				t.Cleanup(srv.Close)
				return srv.Listener.Addr().String()
			},
			[]callboard.DialOption{callboard.WithTransportCredentials(credentials.NewTLS(nil))},
			callboard.HandshakeFailed, false,
			func(f callboard.Failure) bool {
				var ve *tls.CertificateVerificationError
				var ua x509.UnknownAuthorityError
				return errors.As(f.Cause, &ve) && errors.As(f.Cause, &ua)
			},
		},
		{
			"TLS unanswered", silent,
			[]callboard.DialOption{quick, callboard.WithTransportCredentials(credentials.NewTLS(nil))},
			callboard.HandshakeTimeout, false, func(f callboard.Failure) bool { return errors.Is(f.Cause, context.DeadlineExceeded) },
		},
		{
			"no SETTINGS", silent,
			[]callboard.DialOption{quick},
			callboard.HandshakeTimeout, false,
			func(f callboard.Failure) bool { return f.Epoch == 1 },
		},
		{
			"reset", serving(func(p *testpeer.Peer) { p.ResetTCP() }), nil, callboard.PeerGone, true,
			func(f callboard.Failure) bool { return errors.Is(f.Cause, syscall.ECONNRESET) },
		},
		{
			"GOAWAY", serving(func(p *testpeer.Peer) { p.GoAway(0, http2.ErrCodeEnhanceYourCalm, "calm\x00") }), nil, callboard.PeerGoAway, true,
			func(f callboard.Failure) bool {
				return f.GoAway != nil && f.GoAway.Code == frame.EnhanceYourCalm && string(f.GoAway.Debug) == "calm\x00"
			},
		},
		{
			"a rule is broken", serving(func(p *testpeer.Peer) { p.WindowUpdate(0, 0) }), nil, callboard.ProtocolBroken, true,
			func(f callboard.Failure) bool {
				var ce *frame.ConnError
				return errors.As(f.Cause, &ce) && f.Clause == "RFC 9113 6.9"
			},
		},
		{
			"a dialler panics", func(*testing.T) string { return "nobody" },
			[]callboard.DialOption{callboard.WithContextDialer(func(context.Context, string) (net.Conn, error) { panic("oh") })},
			callboard.Panicked, false, func(f callboard.Failure) bool {
				var p *actors.Panic
				return errors.As(f.Cause, &p) && p.Value == "oh"
			},
		},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			heard := make(chan callboard.Failure, 100)
			cl := newWhyClient(t, "passthrough:///"+c.addr(t), append(c.opts, callboard.WithSupervision(func(f callboard.Failure) callboard.Directive {
				heard <- f
				return callboard.Stop()
			}))...)
			cl.cc.Connect()
			var f callboard.Failure
			select {
			case f = <-heard:
			case <-time.After(10 * time.Second):
				t.Fatal("nothing has failed")
			}
			if f.Kind != c.kind || f.Cause == nil || f.At.IsZero() || f.Epoch != 1 || f.Count != 1 || (f.Lived > 0) != c.lived || !c.check(f) {
				t.Errorf("%+v", f)
			}
			if (f.GoAway != nil) != (c.kind == callboard.PeerGoAway) || (f.Clause != "") != (c.kind == callboard.ProtocolBroken) {
				t.Errorf("GOAWAY %v, clause %q", f.GoAway, f.Clause)
			}
		})
	}
}

// Keepalive needs minutes, so the clock is virtual.
func TestSilentPeerIsTyped(t *testing.T) {
	a := &advice{answers: []callboard.Directive{callboard.Stop()}}
	m := &muffled{}
	var on *stage
	opts := []callboard.DialOption{
		callboard.WithContextDialer(func(ctx context.Context, addr string) (nc net.Conn, err error) {
			m.Conn, err = on.dial(ctx, addr)
			return m, err
		}),
		callboard.WithSupervision(a.decide),
		callboard.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 10 * time.Second, PermitWithoutStream: true}),
	}
	onStage(t, playbook{unary: echo}, opts, func(s *stage) {
		on = s
		if err := s.call(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.deaf.Store(true)
		time.Sleep(2 * time.Minute)
		fs := a.heard()
		if len(fs) != 1 {
			t.Fatalf("heard %+v", fs)
		}
		var ce *frame.ConnError
		if f := fs[0]; f.Kind != callboard.PeerSilent || !errors.As(f.Cause, &ce) || ce.Code != frame.NoError || f.Lived != 70*time.Second {
			t.Errorf("%+v", f)
		}
	})
}

// muffled is a socket that hears nothing once it is deaf.
type muffled struct {
	net.Conn
	deaf atomic.Bool
}

func (m *muffled) Read(p []byte) (int, error) {
	for {
		n, err := m.Conn.Read(p)
		if err != nil || !m.deaf.Load() {
			return n, err
		}
	}
}
