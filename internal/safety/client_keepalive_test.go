package safety_test

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// Keepalive closes what went silent. Ten seconds are the least that a client
// may ask for.
func TestClientKeepalive(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds that a client's keepalive waits at least")
	}
	t.Parallel()
	l := testpeer.Listen(t, testpeer.Rude(), testpeer.Patience(30*time.Second))
	done := l.Script(func(p *testpeer.Peer) {
		p.Handshake()
		p.SettingsAck()
		p.ExpectRequest()
		p.ExpectPing()
		p.ExpectClosed(soon)
	})
	c := call(t, l.Addr(), callboard.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 300 * time.Millisecond}))
	ctx, cancel := contextFor(30 * time.Second)
	defer cancel()
	wants(t, within(t, c.start(ctx), 30*time.Second), codes.Unavailable, "keepalive")
	<-done
}

// A server that is bothered by keepalive says so: the status names both
// settings, and the next connection asks half as often.
func TestTooManyPingsSlowsTheClientDown(t *testing.T) {
	t.Parallel()
	t.Run("the message", func(t *testing.T) {
		l := testpeer.Listen(t)
		l.Script(func(p *testpeer.Peer) {
			p.Handshake()
			p.ExpectRequest()
			p.GoAway(1, http2.ErrCodeEnhanceYourCalm, "too_many_pings")
			p.Close()
		})
		c := call(t, l.Addr(), callboard.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second}))
		wants(t, within(t, c.start(deadline(t)), soon), codes.Unavailable, "too_many_pings", "keepalive Time", "MinTime")
	})
	t.Run("the time", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes the twenty seconds of a keepalive that was slowed down")
		}
		t.Parallel()
		l := testpeer.Listen(t, testpeer.Patience(40*time.Second))
		var took time.Duration
		done := scripts(l, func(p *testpeer.Peer) {
			p.Handshake()
			p.GoAway(0, http2.ErrCodeEnhanceYourCalm, "too_many_pings")
			p.Close()
		}, func(p *testpeer.Peer) {
			p.Handshake()
			id := p.ExpectRequest().ID
			began := time.Now()
			p.ExpectPing()
			took = time.Since(began)
			reply(t, p, id)
		})
		c := call(t, l.Addr(), callboard.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second}))
		ctx, cancel := contextFor(40 * time.Second)
		defer cancel()
		if err := within(t, c.start(ctx, grpc.WaitForReady(true)), 40*time.Second); err != nil {
			t.Error(err)
		}
		<-done
		if took < 19*time.Second || took > 30*time.Second {
			t.Errorf("PING after %v, want 20 s", took)
		}
	})
}
