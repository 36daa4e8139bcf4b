package faults_test

import (
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// What the peer says it has not looked at is sent again on another connection,
// once, however the one it was on ends; what it may have looked at is not.
func TestSentAgainOnceAtMost(t *testing.T) {
	const processed = 1<<31 - 1
	for name, c := range map[string]struct {
		end  func(p *testpeer.Peer, id uint32)
		seen int // by servers, if all of them do the same
	}{
		"GOAWAY below, FIN": {func(p *testpeer.Peer, _ uint32) { p.GoAway(0, http2.ErrCodeNo, ""); p.Close() }, 2},
		"GOAWAY below, RST": {func(p *testpeer.Peer, _ uint32) {
			p.GoAway(0, http2.ErrCodeNo, "")
			p.ExpectClosed(ample)
			p.ResetTCP()
		}, 2},
		"GOAWAY max, then below": {func(p *testpeer.Peer, id uint32) {
			p.GoAway(processed, http2.ErrCodeNo, "")
			p.GoAway(id-1, http2.ErrCodeNo, "")
		}, 2},
		"GOAWAY with an error, below": {func(p *testpeer.Peer, _ uint32) { p.GoAway(0, http2.ErrCodeInternal, "oh"); p.Close() }, 2},
		"REFUSED_STREAM":              {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeRefusedStream) }, 2},
		"REFUSED_STREAM, FIN":         {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeRefusedStream); p.Close() }, 2},
		"FIN":                         {func(p *testpeer.Peer, _ uint32) { p.Close() }, 1},
		"RST":                         {func(p *testpeer.Peer, _ uint32) { p.ResetTCP() }, 1},
		"GOAWAY at, FIN":              {func(p *testpeer.Peer, id uint32) { p.GoAway(id, http2.ErrCodeNo, ""); p.Close() }, 1},
		"GOAWAY max, RST":             {func(p *testpeer.Peer, _ uint32) { p.GoAway(processed, http2.ErrCodeNo, ""); p.ResetTCP() }, 1},
		"headers, then REFUSED_STREAM": {func(p *testpeer.Peer, id uint32) {
			p.Headers(id, testpeer.Response()...)
			p.RST(id, http2.ErrCodeRefusedStream)
		}, 1},
		"headers, then GOAWAY below": {func(p *testpeer.Peer, id uint32) {
			p.Headers(id, testpeer.Response()...)
			p.GoAway(id-1, http2.ErrCodeNo, "")
			p.Close()
		}, 1},
	} {
		for _, kind := range []string{"unary", "streaming"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				var seen atomic.Int32
				l := testpeer.Listen(t)
				var next func(p *testpeer.Peer)
				next = func(p *testpeer.Peer) {
					p.Handshake()
					id := p.ExpectRequest().ID
					if seen.Add(1) < int32(c.seen) {
						if name == "REFUSED_STREAM" { // the connection is as good as before
							c.end(p, id)
							id = p.ExpectRequest().ID
							seen.Add(1)
						} else {
							l.Script(next)
						}
					}
					c.end(p, id)
				}
				done := l.Script(next)
				cc, sys := client(t, "passthrough:///"+l.Addr())
				ld := newLoad(t, newLedger())
				var err error
				if kind == "unary" {
					_, err = ld.call(cc)
				} else {
					_, err = ld.conversation(patient(t), cc, 3)
				}
				if status.Code(err) != codes.Unavailable {
					t.Errorf("it ended with %v", err)
				}
				<-done
				ld.end()
				comesTo(t, "the connections go", func() bool { return actorsOf(sys, "conn") <= 1 })
				if got := seen.Load(); got != int32(c.seen) {
					t.Errorf("servers saw it %d times, want %d", got, c.seen)
				}
			})
		}
	}
}
