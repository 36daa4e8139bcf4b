package safety_test

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// A peer that opens its window by nothing gets nothing, and what waits for it
// is bounded: handlers wait in SendMsg.
func TestSlowConsumersCostLittle(t *testing.T) {
	for name, slow := range map[string]func(p *testpeer.Peer){
		"zero window": func(p *testpeer.Peer) {
			p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		},
		"does not read": func(p *testpeer.Peer) {
			p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
			p.WindowUpdate(0, 1<<31-1-65_535)
			p.StopReading()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			before := held()
			p := testpeer.Dial(t, s.addr)
			slow(p)
			const streams = 50
			msg := payload(t, 16_000)
			for i := range streams {
				p.Headers(odd(i), testpeer.Request(pour)...)
				p.Data(odd(i), msg)
			}
			s.settled(streams)
			var last int64
			if !eventually(func() bool { // nobody gets on any more
				now := s.poured.Load()
				stuck := now == last && now > 0
				last = now
				return stuck && quietFor(s, awhile)
			}) {
				t.Errorf("%d octets were handed over, and it goes on", s.poured.Load())
			}
			if grown := held() - before; grown > 24<<20 {
				t.Errorf("%d streams hold %d octets", streams, grown)
			}
			p.ResetTCP()
			s.settled(0)
		})
	}
}

func quietFor(s *server, d time.Duration) bool {
	was := s.poured.Load()
	<-time.After(d)
	return s.poured.Load() == was
}

// A reader whose connection is busy stops reading: the peer feels it as TCP
// back-pressure.
func TestReaderStopsReading(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr, testpeer.Rude())
	p.Handshake()
	p.SettingsAck()
	p.StopReading()
	// Honest requests whose answers nobody reads: the server's writes stall,
	// and with them everything it would have to remember.
	before := held()
	req := testpeer.Literal(testpeer.Request(pour)...)
	var batch []byte
	for i := range 900 {
		batch = append(batch, testpeer.FrameHeader(uint32(len(req)), http2.FrameHeaders, http2.FlagHeadersEndHeaders, odd(i))...)
		batch = append(batch, req...)
	}
	p.Push(batch, soon)
	s.settled(900)
	if grown := held() - before; grown > 48<<20 {
		t.Errorf("%d octets are held", grown)
	}
	p.ResetTCP()
	s.settled(0)
}

// Whole responses that wait for a window are held, too: however many RPCs have
// ended behind a window of zero, what they leave waiting stays in the budget.
func TestResponsesWithoutWindowAreBudgeted(t *testing.T) {
	s := serve(t, roomy)
	before := held()
	p := testpeer.Dial(t, s.addr)
	p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	b := payload(t, 900_000)
	sent := 0
	for i := range 100 {
		p.Headers(odd(i), testpeer.Request(echo)...)
		sent = sendFrom(p, odd(i), b, sent)
	}
	p.ExpectAlive()
	s.settled(0)
	if grown := held() - before; grown > 32<<20 {
		t.Errorf("%d octets wait for a window of zero", grown)
	}
	p.ExpectRST(odd(99), http2.ErrCodeEnhanceYourCalm)
}

// A response that waits for a window goes when its stream is reset, also when
// its handler has returned long ago.
func TestResetTakesWhatWaitsForWindow(t *testing.T) {
	s := serve(t, roomy)
	before := held()
	p := testpeer.Dial(t, s.addr)
	p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	const streams = 30
	b := payload(t, 900_000)
	sent := 0
	for i := range streams {
		p.Headers(odd(i), testpeer.Request(echo)...)
		sent = sendFrom(p, odd(i), b, sent)
		p.ExpectHeaders(odd(i)) // the handler has returned
		p.RST(odd(i), http2.ErrCodeCancel)
	}
	p.ExpectAlive()
	if !eventually(func() bool { return held()-before < 12<<20 }) {
		t.Errorf("%d octets wait for nobody", held()-before)
	}
}
