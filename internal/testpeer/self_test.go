package testpeer_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// recorder is a test that a script may fail without failing this one.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (*recorder) FailNow() { runtime.Goexit() }
func (*recorder) Helper()  {}

// failureOf runs a script that must fail and returns what it reported.
func failureOf(t *testing.T, script func(tb testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		script(r)
	}()
	<-done
	if len(r.failures) != 1 {
		t.Fatalf("got %d failures, want 1: %q", len(r.failures), r.failures)
	}
	return r.failures[0]
}

func TestBrokenExpectationsShowTheTranscript(t *testing.T) {
	for name, c := range map[string]struct {
		script func(p *testpeer.Peer)
		want   []string
	}{
		"wrong status": {func(p *testpeer.Peer) {
			p.Handshake()
			p.HeadersEnd(1, testpeer.Request("/a.B/C")...)
			p.ExpectTrailers(1, codes.OK)
		}, []string{"expected status OK", "-> HEADERS stream=1 END_STREAM", "<- HEADERS stream=1 END_STREAM", "/a.B/C"}},
		"wrong goaway": {func(p *testpeer.Peer) {
			p.Handshake()
			p.Flood(100, func(int) { p.Ping(1) })
			p.ExpectGoAway(http2.ErrCodeNo)
		}, []string{"expected GOAWAY NO_ERROR", "ENHANCE_YOUR_CALM", "-> PING  (x100)"}},
		"nothing comes": {func(p *testpeer.Peer) {
			p.Handshake()
			p.ExpectHeaders(7)
		}, []string{"expected HEADERS on stream 7", "nothing came within"}},
		"closed": {func(p *testpeer.Peer) {
			p.Raw([]byte("GET / HTTP/1.1\r\n\r\n ----------------"))
			p.ExpectAlive()
		}, []string{"but the connection is closed", "<- closed"}},
		"not closed": {func(p *testpeer.Peer) {
			p.Handshake()
			p.ExpectClosed(10 * time.Millisecond)
		}, []string{"expected the connection to be closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			addr := grpcServer(t)
			got := failureOf(t, func(tb testing.TB) {
				c.script(testpeer.Dial(tb, addr, testpeer.Patience(time.Second)))
			})
			for _, w := range append(c.want, "transcript") {
				if !strings.Contains(got, w) {
					t.Errorf("report lacks %q:\n%s", w, got)
				}
			}
		})
	}
}

func TestTwoPeersInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		c, s := testpeer.Client(t, a), testpeer.Server(t, b)
		c.Preface()
		c.Settings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
		s.ExpectPreface()
		s.Settings()
		c.ExpectSettingsAck()
		s.ExpectSettingsAck()

		// An ACK must not fall into an open header block.
		c.OpenHeaders(1, testpeer.Literal(testpeer.Request("/a.B/C")[:3]...), false)
		s.Ping(9)
		c.Continuation(1, testpeer.Literal(testpeer.Request("/a.B/C")[3:]...), true)
		s.ExpectPingAck(9)
		q := s.ExpectRequest()
		if q.Path != "/a.B/C" || q.Ends {
			t.Errorf("got %+v", q)
		}
		s.WindowUpdate(1, 5)
		s.WindowUpdate(1, 6)
		if got := c.ExpectCredit(1, 11); got != 11 {
			t.Errorf("credit %d, want 11", got)
		}
		s.ExpectOpen(time.Hour)
		s.RST(1, http2.ErrCodeCancel)
		c.ExpectRST(1, http2.ErrCodeCancel)
		c.ExpectNothing(1, time.Hour)
		s.Close()
		c.ExpectClosed(time.Second)
	})
}

func TestPushReportsAStalledReader(t *testing.T) {
	l := testpeer.Listen(t, testpeer.Deaf())
	l.Script(func(p *testpeer.Peer) { p.ExpectNothing(1, 500*time.Millisecond) })
	p := testpeer.Dial(t, l.Addr())
	n, stalled := p.Push(make([]byte, 64<<20), 100*time.Millisecond)
	if !stalled || n == 0 || n == 64<<20 {
		t.Errorf("pushed %d bytes, stalled %v", n, stalled)
	}
}

func TestTLSWithALPN(t *testing.T) {
	srv, cl := tlsConfigs(t)
	l := testpeer.Listen(t, testpeer.TLS(srv))
	l.Script(func(p *testpeer.Peer) {
		p.Handshake()
		p.ExpectClosed(5 * time.Second)
	})
	p := testpeer.Dial(t, l.Addr(), testpeer.TLS(cl))
	p.Handshake()
	if got := p.NetConn().(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("negotiated %q", got)
	}
	p.ExpectAlive()
	p.Close()
}
