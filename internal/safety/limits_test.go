package safety_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func TestServerAnnouncesItsLimits(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr)
	got := map[http2.SettingID]uint32{}
	for _, v := range p.Handshake() {
		got[v.ID] = v.Val
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 1000,
		http2.SettingMaxHeaderListSize:    16 << 10,
	} {
		if got[id] != want {
			t.Errorf("%v is %d, want %d", id, got[id], want)
		}
	}
	// The limit that was announced is the one that holds.
	const limit = 1000
	for i := range limit {
		p.Headers(uint32(2*i+1), testpeer.Request(deaf)...)
	}
	p.Headers(2*limit+1, testpeer.Request(deaf)...)
	p.ExpectRST(2*limit+1, http2.ErrCodeRefusedStream)
	s.settled(limit)
	p.ExpectAlive()
}

func TestStreamsBeyondTheLimitAreRefused(t *testing.T) {
	s := serve(t, callboard.MaxConcurrentStreams(3))
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	for _, id := range []uint32{1, 3, 5} {
		p.Headers(id, testpeer.Request(hold)...)
	}
	p.Headers(7, testpeer.Request(hold)...)
	p.ExpectRST(7, http2.ErrCodeRefusedStream)
	s.settled(3)
	s.release()
	for _, id := range []uint32{1, 3, 5} {
		p.ExpectTrailers(id, codes.OK)
	}
	p.Headers(9, testpeer.Request(hold)...)
	p.ExpectTrailers(9, codes.OK)
	if got := s.started.Load(); got != 4 {
		t.Errorf("%d handlers were started, want 4", got)
	}
}

func TestRunningHandlersCountAfterTheirReset(t *testing.T) {
	s := serve(t, callboard.MaxConcurrentStreams(3))
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	for _, id := range []uint32{1, 3, 5} {
		p.Headers(id, testpeer.Request(deaf)...)
	}
	s.settled(3)
	for _, id := range []uint32{1, 3, 5} {
		p.RST(id, http2.ErrCodeCancel)
	}
	for id := uint32(7); id < 27; id += 2 {
		p.Headers(id, testpeer.Request(deaf)...)
		p.ExpectRST(id, http2.ErrCodeRefusedStream)
	}
	if got := s.started.Load(); got != 3 {
		t.Errorf("%d handlers were started, want 3", got)
	}
	s.release()
	s.settled(0)
	id := uint32(27)
	if !eventually(func() bool { // the slots are free a moment after the handlers have returned
		p.HeadersEnd(id, testpeer.Request(sink)...)
		taken := !refused(p, id)
		id += 2
		return taken
	}) {
		t.Error("no stream was taken after the handlers had returned")
	}
}

// headerFill makes n fields that count for size octets in all.
func headerFill(n, size int) testpeer.Fields {
	var f testpeer.Fields
	for i := range n {
		name := fmt.Sprintf("x-fill-%05d", i)
		f = append(f, hpack.HeaderField{Name: name, Value: strings.Repeat("v", max(0, size/n-len(name)-32))})
	}
	return f
}

func TestHeaderListLimits(t *testing.T) {
	request := testpeer.Request(echo)
	for name, c := range map[string]struct {
		fill testpeer.Fields
		want codes.Code // OK: taken; ResourceExhausted: that stream; Unknown: the connection
	}{
		"below 16 KiB":          {headerFill(4, 15<<10), codes.OK},
		"above 16 KiB":          {headerFill(4, 20<<10), codes.ResourceExhausted},
		"above 32 KiB":          {headerFill(4, 40<<10), codes.Unknown},
		"one huge field":        {headerFill(1, 20<<10), codes.ResourceExhausted},
		"one enormous field":    {headerFill(1, 100<<10), codes.Unknown},
		"below 128 fields":      {headerFill(120, 0), codes.OK},
		"above 128 fields":      {headerFill(130, 0), codes.ResourceExhausted},
		"above 256 fields":      {headerFill(300, 0), codes.Unknown},
		"cookies by the dozens": {headerFill(249, 0), codes.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			sendBlock(p, 1, testpeer.Literal(append(request, c.fill...)...))
			if c.want == codes.Unknown {
				p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
				p.ExpectClosed(soon)
				return
			}
			if c.want == codes.OK {
				p.DataEnd(1, payload(t, 10))
			}
			p.ExpectTrailers(1, c.want)
			p.ExpectAlive()
			p.Headers(3, request...)
			p.DataEnd(3, payload(t, 10))
			p.ExpectTrailers(3, codes.OK)
		})
	}
}

// sendBlock sends a header block in as many frames as it needs.
func sendBlock(p *testpeer.Peer, id uint32, block []byte) {
	const most = 16 << 10
	first := true
	for {
		n := min(most, len(block))
		last := n == len(block)
		switch {
		case first && last:
			p.Block(id, block, false)
		case first:
			p.OpenHeaders(id, block[:n], false)
		default:
			p.Continuation(id, block[:n], last)
		}
		if last {
			return
		}
		block, first = block[n:], false
	}
}

func TestHeaderBombs(t *testing.T) {
	for name, block := range map[string][]byte{
		"one large entry, referred to often": testpeer.HeaderBomb(4000, 10_000),
		"many small ones":                    testpeer.HeaderBomb(10, 15_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			before := held()
			for range 8 {
				p := testpeer.Dial(t, s.addr)
				p.Handshake()
				p.Block(1, block, false)
				p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
				p.ExpectClosed(soon)
			}
			if grown := held() - before; grown > 4<<20 {
				t.Errorf("the server holds %d octets more", grown)
			}
		})
	}
}

func TestContinuationLimit(t *testing.T) {
	block := testpeer.Literal(append(testpeer.Request(echo), headerFill(60, 60*64)...)...)
	pieces := func(p *testpeer.Peer, n int) {
		size := len(block) / (n + 1)
		p.Batch(func() {
			p.OpenHeaders(1, block[:size], false)
			rest := block[size:]
			for i := range n {
				last := i == n-1
				cut := size
				if last {
					cut = len(rest)
				}
				p.Continuation(1, rest[:cut], last)
				rest = rest[cut:]
			}
		})
	}
	t.Run("64 are taken", func(t *testing.T) {
		s := serve(t)
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		pieces(p, 64)
		p.DataEnd(1, payload(t, 10))
		p.ExpectTrailers(1, codes.OK)
	})
	t.Run("65 are not", func(t *testing.T) {
		s := serve(t)
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		pieces(p, 65)
		p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		p.ExpectClosed(soon)
	})
	t.Run("an endless block", func(t *testing.T) {
		s := serve(t)
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.OpenHeaders(1, testpeer.Literal(testpeer.Request(echo)...), false)
		p.Flood(1<<20, func(int) { p.Continuation(1, testpeer.Literal(headerFill(1, 1000)...), false) })
		p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		p.ExpectClosed(soon)
	})
}

func TestSlowHeaderBlock(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds that a header block is given")
	}
	t.Parallel()
	for name, drip := range map[string]func(p *testpeer.Peer, i int){
		"never ends":           func(*testpeer.Peer, int) {},
		"byte by byte":         func(p *testpeer.Peer, _ int) { p.Raw([]byte{0}) },
		"a fragment at a time": func(p *testpeer.Peer, i int) { p.Continuation(1, testpeer.Literal(headerFill(1, 64)...), false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			p := testpeer.Dial(t, s.addr, testpeer.Patience(30*time.Second))
			p.Handshake()
			began := time.Now()
			p.OpenHeaders(1, testpeer.Literal(testpeer.Request(echo)...), false)
			if name == "byte by byte" {
				p.Raw(testpeer.FrameHeader(1000, http2.FrameContinuation, 0, 1))
			}
			stop := time.Now().Add(30 * time.Second)
			for i := 0; time.Now().Before(stop) && !over(p, 400*time.Millisecond); i++ {
				drip(p, i)
			}
			p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
			p.ExpectClosed(soon)
			if took := time.Since(began); took < 9*time.Second || took > 25*time.Second {
				t.Errorf("closed after %v, want about 10 s", took)
			}
		})
	}
}

func TestSettingsEntries(t *testing.T) {
	entries := func(n int) []http2.Setting {
		var all []http2.Setting
		for range n {
			all = append(all, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 70_000})
		}
		return all
	}
	t.Run("32 are taken", func(t *testing.T) {
		s := serve(t)
		p := testpeer.Dial(t, s.addr)
		p.Handshake(entries(32)...)
		p.ExpectAlive()
	})
	t.Run("33 are not", func(t *testing.T) {
		s := serve(t)
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.Settings(entries(33)...)
		p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
		p.ExpectClosed(soon)
	})
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	for name, script := range map[string]func(p *testpeer.Peer){
		"says nothing":       func(*testpeer.Peer) {},
		"preface alone":      func(p *testpeer.Peer) { p.Preface() },
		"half a preface":     func(p *testpeer.Peer) { p.Raw([]byte(http2.ClientPreface)[:10]) },
		"half of a SETTINGS": func(p *testpeer.Peer) { p.Preface(); p.Raw(testpeer.FrameHeader(6, http2.FrameSettings, 0, 0)) },
		"drips": func(p *testpeer.Peer) {
			for _, b := range []byte(http2.ClientPreface) {
				if over(p, 30*time.Millisecond) {
					return
				}
				p.Raw([]byte{b})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, callboard.ConnectionTimeout(limit))
			began := time.Now()
			p := testpeer.Dial(t, s.addr)
			script(p)
			p.ExpectClosed(soon)
			if took := time.Since(began); took < limit-limit/10 {
				t.Errorf("closed after %v, want %v at least", took, limit)
			}
		})
	}
	t.Run("a good peer has all the time it wants afterwards", func(t *testing.T) {
		s := serve(t, callboard.ConnectionTimeout(limit))
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.ExpectOpen(3 * limit)
	})
}

func TestNotHTTP2(t *testing.T) {
	for name, text := range map[string]string{
		"HTTP/1.1":       "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"TLS":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 64),
		"broken preface": "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
		"zeroes":         string(bytes.Repeat([]byte{0}, 100)),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Raw([]byte(text))
			p.ExpectClosed(soon)
		})
	}
}
