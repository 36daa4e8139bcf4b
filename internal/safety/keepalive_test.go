package safety_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func TestTooManyPings(t *testing.T) {
	policy := func(least time.Duration, idle bool) callboard.ServerOption {
		return callboard.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: least, PermitWithoutStream: idle})
	}
	for name, c := range map[string]struct {
		opts  []callboard.ServerOption
		open  bool
		pings int
		away  bool
	}{
		"three are let pass":               {nil, true, 3, false},
		"the fourth is one too many":       {nil, true, 4, true},
		"also without a stream":            {nil, false, 4, true},
		"a generous policy, with a stream": {[]callboard.ServerOption{policy(time.Nanosecond, false)}, true, 20, false},
		"but not without":                  {[]callboard.ServerOption{policy(time.Nanosecond, false)}, false, 4, true},
		"unless it says so":                {[]callboard.ServerOption{policy(time.Nanosecond, true)}, false, 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.opts...)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			if c.open {
				p.Headers(1, testpeer.Request(hold)...)
				s.settled(1)
			}
			for i := range c.pings {
				p.Ping(uint64(i))
				if !c.away || i < c.pings-1 {
					p.ExpectPingAck(uint64(i))
				}
			}
			if !c.away {
				p.ExpectOpen(awhile)
				return
			}
			f := p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
			if got := string(f.Data); got != "too_many_pings" {
				t.Errorf("debug data %q", got)
			}
			p.ExpectClosed(soon)
		})
	}
}

// A peer that measures its bandwidth PINGs as DATA comes in: that is earned.
func TestPingsForDataAreEarned(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(chat)...)
	for i := range 200 {
		p.Data(1, payload(t, 100))
		p.ExpectMessage(1)
		p.Ping(uint64(i))
		p.ExpectPingAck(uint64(i))
	}
	p.DataEnd(1, nil)
	p.ExpectTrailers(1, codes.OK)
}

// A server's keepalive notices a client that is gone.
func TestServerKeepalive(t *testing.T) {
	t.Parallel()
	s := serve(t, callboard.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: 300 * time.Millisecond}))
	t.Run("silent", func(t *testing.T) {
		p := testpeer.Dial(t, s.addr, testpeer.Rude())
		p.Handshake()
		p.SettingsAck()
		p.Headers(1, testpeer.Request(hold)...)
		s.settled(1)
		p.ExpectPing()
		p.ExpectClosed(soon)
		s.settled(0)
	})
	t.Run("answers", func(t *testing.T) {
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.ExpectPing()
		p.ExpectOpen(600 * time.Millisecond)
	})
}

func TestServerConnectionLimits(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		s := serve(t, callboard.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 200 * time.Millisecond}))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.ExpectGoAway(http2.ErrCodeNo)
		p.ExpectGoAway(http2.ErrCodeNo)
		p.ExpectClosed(soon)
	})
	t.Run("age, and a stream that outlives the grace", func(t *testing.T) {
		s := serve(t, callboard.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: 200 * time.Millisecond, MaxConnectionAgeGrace: 200 * time.Millisecond,
		}))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.Headers(1, testpeer.Request(hold)...)
		f := p.ExpectGoAway(http2.ErrCodeNo)
		if f.Last != 1<<31-1 || !strings.Contains(string(f.Data), "max_age") {
			t.Errorf("first GOAWAY names stream %d, %q", f.Last, f.Data)
		}
		if f := p.ExpectGoAway(http2.ErrCodeNo); f.Last != 1 {
			t.Errorf("second GOAWAY names stream %d", f.Last)
		}
		p.ExpectClosed(soon)
		s.settled(0)
	})
	t.Run("a PING between the GOAWAYs that is never answered", func(t *testing.T) {
		s := serve(t, callboard.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 200 * time.Millisecond}))
		p := testpeer.Dial(t, s.addr, testpeer.Rude())
		p.Handshake()
		p.SettingsAck()
		p.ExpectGoAway(http2.ErrCodeNo)
		p.ExpectGoAway(http2.ErrCodeNo)
		p.ExpectClosed(2 * soon)
	})
}
