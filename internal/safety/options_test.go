package safety_test

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// Each limit is an option: what a server does by default, it does at another
// number, and past it the same follows.
func TestLimitsAreOptions(t *testing.T) {
	const brief = 200 * time.Millisecond
	echoes := func(t *testing.T, p *testpeer.Peer, id uint32, fill testpeer.Fields, want codes.Code) {
		sendBlock(p, id, testpeer.Literal(append(testpeer.Request(echo), fill...)...))
		if want == codes.OK {
			p.DataEnd(id, payload(t, 10))
		}
		p.ExpectTrailers(id, want)
	}
	settings := func(p *testpeer.Peer, n int) {
		var all []http2.Setting
		for range n {
			all = append(all, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 70_000})
		}
		p.Settings(all...)
	}
	continuations := func(t *testing.T, p *testpeer.Peer, n int) {
		block := testpeer.Literal(append(testpeer.Request(echo), headerFill(60, 60*64)...)...)
		size := len(block) / (n + 1)
		p.Batch(func() {
			p.OpenHeaders(1, block[:size], false)
			for i := range n {
				at := size * (i + 1)
				if i == n-1 {
					p.Continuation(1, block[at:], true)
				} else {
					p.Continuation(1, block[at:at+size], false)
				}
			}
		})
	}
	calm := func(p *testpeer.Peer) {
		p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		p.ExpectClosed(soon)
	}
	tests := map[string]struct {
		set func(l *callboard.Limits)
		do  func(t *testing.T, s *server, p *testpeer.Peer)
	}{
		"fewer streams": {func(l *callboard.Limits) { l.MaxConcurrentStreams = 2 }, func(_ *testing.T, s *server, p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(hold)...)
			p.Headers(3, testpeer.Request(hold)...)
			p.Headers(5, testpeer.Request(hold)...)
			p.ExpectRST(5, http2.ErrCodeRefusedStream)
			s.settled(2)
		}},
		"any number of streams": {func(l *callboard.Limits) { l.MaxConcurrentStreams = -1 }, func(_ *testing.T, s *server, p *testpeer.Peer) {
			p.Batch(func() {
				for i := range 1100 {
					p.Headers(odd(i), testpeer.Request(hold)...)
				}
			})
			s.settled(1100)
			s.release()
			p.ExpectTrailers(odd(1099), codes.OK)
		}},
		"a smaller header list": {func(l *callboard.Limits) { l.HeaderListSize = 2 << 10 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			echoes(t, p, 1, headerFill(4, 1<<10), codes.OK)
			echoes(t, p, 3, headerFill(4, 3<<10), codes.ResourceExhausted)
		}},
		"a larger header list": {func(l *callboard.Limits) { l.HeaderListSize = 100 << 10 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			echoes(t, p, 1, headerFill(4, 90<<10), codes.OK)
		}},
		"fewer fields": {func(l *callboard.Limits) { l.HeaderFields = 20 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			echoes(t, p, 1, headerFill(10, 0), codes.OK)
			echoes(t, p, 3, headerFill(20, 0), codes.ResourceExhausted)
		}},
		"any number of fields": {func(l *callboard.Limits) { l.HeaderFields = -1 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			echoes(t, p, 1, headerFill(300, 0), codes.OK)
		}},
		"fewer CONTINUATIONs": {func(l *callboard.Limits) { l.Continuations = 2 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			continuations(t, p, 3)
			calm(p)
		}},
		"more CONTINUATIONs": {func(l *callboard.Limits) { l.Continuations = 100 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			continuations(t, p, 90)
			p.DataEnd(1, payload(t, 10))
			p.ExpectTrailers(1, codes.OK)
		}},
		"fewer SETTINGS entries": {func(l *callboard.Limits) { l.SettingsEntries = 2 }, func(_ *testing.T, _ *server, p *testpeer.Peer) {
			settings(p, 2)
			p.ExpectAlive()
			settings(p, 3)
			calm(p)
		}},
		"more SETTINGS entries": {func(l *callboard.Limits) { l.SettingsEntries = -1 }, func(_ *testing.T, _ *server, p *testpeer.Peer) {
			settings(p, 500)
			p.ExpectAlive()
		}},
		"less time for a header block": {func(l *callboard.Limits) { l.HeaderTime = brief }, func(_ *testing.T, _ *server, p *testpeer.Peer) {
			p.OpenHeaders(1, testpeer.Literal(testpeer.Request(echo)...), false)
			calm(p)
		}},
		"less time without window": {func(l *callboard.Limits) { l.StreamStall = brief }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			p.Headers(1, testpeer.Request(echo)...)
			p.DataEnd(1, payload(t, 10))
			p.ExpectRST(1, http2.ErrCodeEnhanceYourCalm)
			p.ExpectAlive()
		}},
		"less time for a write": {func(l *callboard.Limits) { l.WriteStall = brief }, func(t *testing.T, s *server, p *testpeer.Peer) {
			p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
			p.WindowUpdate(0, 1<<31-1-65_535)
			p.Headers(1, testpeer.Request(pour)...)
			p.StopReading()
			p.Data(1, payload(t, 16_000))
			if !eventually(func() bool { return count(s.sys, "conn") == 0 }) {
				t.Error("the connection is still there")
			}
		}},
		"fewer glitches": {func(l *callboard.Limits) { l.GlitchBurst, l.GlitchRate = 5, 1 }, func(_ *testing.T, _ *server, p *testpeer.Peer) {
			p.Flood(20, func(i int) { p.Frame(http2.FrameType(99), 0, 0, nil) })
			calm(p)
		}},
		"a higher rate of glitches": {func(l *callboard.Limits) { l.GlitchBurst, l.GlitchRate = 5, -1 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			for range 10 { // the PINGs count, too
				for range 3 {
					p.Frame(http2.FrameType(99), 0, 0, nil)
				}
				p.ExpectAlive()
			}
		}},
		"any number of glitches": {func(l *callboard.Limits) { l.GlitchBurst = -1 }, func(_ *testing.T, _ *server, p *testpeer.Peer) {
			p.Batch(func() {
				for range 5000 {
					p.Frame(http2.FrameType(99), 0, 0, nil)
				}
			})
			p.ExpectAlive()
		}},
		"less room for what is received": {func(l *callboard.Limits) { l.ReceiveBudget = 1 << 20 }, func(t *testing.T, _ *server, p *testpeer.Peer) {
			// The first may grow for its message, and takes most of what there is.
			for id := uint32(1); id <= 3; id += 2 {
				p.Headers(id, testpeer.Request(sink)...)
				p.Data(id, payload(t, 900_000)[:1000])
			}
			p.ExpectCredit(1, 800_000)
			p.ExpectAlive()
			<-time.After(awhile)
			if n := p.Credit(3); n != 0 {
				t.Errorf("the second was granted %d octets", n)
			}
		}},
		"less room for what is sent": {func(l *callboard.Limits) { l.SendBudget = 1 << 20 }, func(_ *testing.T, s *server, p *testpeer.Peer) {
			p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			p.ExpectAlive()
			ask(s, p, 0, 3)
			p.ExpectRST(5, http2.ErrCodeEnhanceYourCalm)
			p.ExpectRST(3, http2.ErrCodeEnhanceYourCalm)
			takes(p, 1)
		}},
		"any room for what is sent": {func(l *callboard.Limits) { l.SendBudget = -1 }, func(_ *testing.T, s *server, p *testpeer.Peer) {
			p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			p.ExpectAlive()
			ask(s, p, 0, 30)
			takes(p, odd(29))
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, callboard.WithLimits(tt.set), lenient)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			tt.do(t, s, p)
		})
	}
	t.Run("less time for a handshake", func(t *testing.T) {
		s := serve(t, callboard.WithLimits(func(l *callboard.Limits) { l.HandshakeTime = brief }))
		p := testpeer.Dial(t, s.addr)
		p.ExpectClosed(soon)
	})
}

// slowGate is a compressor that counts how many messages it inflates at a time.
type slowGate struct {
	now, most atomic.Int32
	open      chan struct{}
}

func (*slowGate) Name() string                                 { return "slow-gate" }
func (*slowGate) Compress(w io.Writer) (io.WriteCloser, error) { return unchanged{w}, nil }

func (g *slowGate) Decompress(r io.Reader) (io.Reader, error) {
	g.most.Store(max(g.now.Add(1), g.most.Load()))
	<-g.open
	g.now.Add(-1)
	return r, nil
}

// unchanged compresses nothing.
type unchanged struct{ io.Writer }

func (unchanged) Close() error { return nil }

func TestDecompressionsAreAnOption(t *testing.T) {
	g := &slowGate{}
	encoding.RegisterCompressor(g)
	for name, places := range map[string]int{"one at a time": 1, "three at a time": 3} {
		t.Run(name, func(t *testing.T) {
			g.open = make(chan struct{})
			g.most.Store(0)
			s := serve(t, callboard.WithLimits(func(l *callboard.Limits) { l.Decompressions = places }))
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			const calls = 5
			for i := range calls {
				p.Headers(odd(i), testpeer.Request(echo).With("grpc-encoding", "slow-gate")...)
				p.DataEnd(odd(i), framed(1, encoded(t, 10)))
			}
			s.settled(calls)
			if !eventually(func() bool { return int(g.now.Load()) == places }) {
				t.Errorf("%d are inflated at a time, want %d", g.now.Load(), places)
			}
			close(g.open)
			for i := range calls {
				p.ExpectTrailers(odd(i), codes.OK)
			}
			if n := int(g.most.Load()); n > places {
				t.Errorf("%d were inflated at a time", n)
			}
		})
	}
}

// The same on the other side.
func TestClientLimitsAreOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(l *callboard.Limits)
		send func(p *testpeer.Peer, id uint32)
		want codes.Code
	}{
		"fewer fields": {func(l *callboard.Limits) { l.HeaderFields = 10 }, func(p *testpeer.Peer, id uint32) {
			p.HeadersEnd(id, append(testpeer.Response(), headerFill(15, 0)...)...)
		}, codes.ResourceExhausted},
		"a smaller header list": {func(l *callboard.Limits) { l.HeaderListSize = 1 << 10 }, func(p *testpeer.Peer, id uint32) {
			p.HeadersEnd(id, append(testpeer.Response(), headerFill(2, 1500)...)...)
		}, codes.ResourceExhausted},
		"fewer SETTINGS entries": {func(l *callboard.Limits) { l.SettingsEntries = 1 }, func(p *testpeer.Peer, _ uint32) {
			p.Settings(http2.Setting{ID: 99}, http2.Setting{ID: 99})
			p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		}, codes.Unavailable},
		"fewer glitches": {func(l *callboard.Limits) { l.GlitchBurst, l.GlitchRate = 5, 1 }, func(p *testpeer.Peer, _ uint32) {
			p.Flood(20, func(int) { p.Frame(http2.FrameType(99), 0, 0, nil) })
			p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		}, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			done := l.Script(func(p *testpeer.Peer) {
				p.Handshake()
				tt.send(p, p.ExpectRequest().ID)
			})
			c := call(t, l.Addr(), callboard.WithLimits(tt.set))
			wants(t, within(t, c.start(deadline(t)), 2*soon), tt.want)
			<-done
		})
	}
	// A call whose request waits for a server that grants nothing.
	t.Run("less room for what is sent", func(t *testing.T) {
		l := testpeer.Listen(t)
		done := l.Script(func(p *testpeer.Peer) {
			p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			first := p.ExpectRequest().ID
			second := p.ExpectRequest().ID
			p.ExpectRST(second, http2.ErrCodeEnhanceYourCalm)
			reply(t, p, first)
		})
		c := call(t, l.Addr(), callboard.WithLimits(func(l *callboard.Limits) { l.SendBudget = 1 << 20 }))
		big := c.invoke(deadline(t), 900_000)
		if !eventually(func() bool { return count(c.sys, "stream") == 1 }) {
			t.Fatal("no stream")
		}
		wants(t, within(t, c.invoke(deadline(t), 900_000), soon), codes.ResourceExhausted)
		if err := within(t, big, soon); err != nil {
			t.Error(err)
		}
		<-done
	})
}

func TestZeroLimitsAreTheDefaults(t *testing.T) {
	announcedBy := func(opts ...callboard.ServerOption) []http2.Setting {
		return testpeer.Dial(t, serve(t, opts...).addr).Handshake()
	}
	usual := announcedBy()
	zero := callboard.WithLimits(func(l *callboard.Limits) { *l = callboard.Limits{} })
	if d := cmp.Diff(usual, announcedBy(zero)); d != "" {
		t.Error(d)
	}
	// Options of their own come first, whatever their place.
	first := announcedBy(callboard.MaxConcurrentStreams(7), callboard.GRPCGoLimits())
	if len(first) == 0 || !hasSetting(first, http2.SettingMaxConcurrentStreams, 7) {
		t.Errorf("announced %v", first)
	}
}

func hasSetting(all []http2.Setting, id http2.SettingID, v uint32) bool {
	for _, s := range all {
		if s.ID == id && s.Val == v {
			return true
		}
	}
	return false
}

func TestGRPCGoLimits(t *testing.T) {
	s := serve(t, callboard.GRPCGoLimits(), lenient)
	p := testpeer.Dial(t, s.addr)
	for _, v := range p.Handshake() {
		if v.ID == http2.SettingMaxConcurrentStreams {
			t.Errorf("%v is announced", v)
		}
		if v.ID == http2.SettingMaxHeaderListSize && v.Val != 16<<20 {
			t.Errorf("%v is announced, want 16 MiB", v)
		}
	}
	sendBlock(p, 1, testpeer.Literal(append(testpeer.Request(echo), headerFill(500, 500*200)...)...))
	p.DataEnd(1, payload(t, 10))
	p.ExpectTrailers(1, codes.OK)
	p.Batch(func() {
		for i := range 5000 {
			p.Frame(http2.FrameType(99), 0, 0, nil)
			if i%100 == 0 {
				p.RST(1, http2.ErrCodeCancel)
			}
		}
	})
	p.ExpectAlive()
}
