package safety_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// flood is one cause of glitches: what it sends, endlessly.
type flood struct {
	opts   []callboard.ServerOption
	before func(t testing.TB, p *testpeer.Peer)
	frame  func(t testing.TB, p *testpeer.Peer, i int)
}

// lenient lets clients PING as often as they like, so that the flood budget is
// what stops them.
var lenient = callboard.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: -1, PermitWithoutStream: true})

var tooManyFields = testpeer.Literal(append(testpeer.Request(hold), headerFill(130, 0)...)...)

func odd(i int) uint32 { return uint32(2*i + 1) }

func openHold(_ testing.TB, p *testpeer.Peer) { p.Headers(1, testpeer.Request(hold)...) }

var floods = map[string]flood{
	"rapid reset": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Headers(odd(i), testpeer.Request(hold)...)
		p.RST(odd(i), http2.ErrCodeCancel)
	}},
	"RST_STREAM of closed streams": {before: openHold, frame: func(_ testing.TB, p *testpeer.Peer, _ int) {
		p.RST(1, http2.ErrCodeCancel)
	}},
	"made you reset, by WINDOW_UPDATE of 0": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Headers(odd(i), testpeer.Request(hold)...)
		p.WindowUpdate(odd(i), 0)
	}},
	"made you reset, by window overflow": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Headers(odd(i), testpeer.Request(hold)...)
		p.WindowUpdate(odd(i), 1<<31-1)
	}},
	"made you reset, by PRIORITY of the wrong length": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Headers(odd(i), testpeer.Request(hold)...)
		p.Frame(http2.FramePriority, 0, odd(i), make([]byte, 4))
	}},
	"malformed requests": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Headers(odd(i), testpeer.Request(hold).With("connection", "close")...)
	}},
	"requests with too large a header list": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Block(odd(i), tooManyFields, false)
	}},
	// Of two streams in turn: neighbours of one stream are answered as one.
	"DATA after END_STREAM": {before: func(t testing.TB, p *testpeer.Peer) {
		for _, id := range []uint32{1, 3} {
			p.Headers(id, testpeer.Request(echo)...)
			p.DataEnd(id, payload(t, 1))
			p.ExpectTrailers(id, codes.OK)
		}
	}, frame: func(_ testing.TB, p *testpeer.Peer, i int) { p.Data(odd(i%2), []byte{1}) }},
	"PING": {opts: []callboard.ServerOption{lenient}, frame: func(_ testing.TB, p *testpeer.Peer, i int) { p.Ping(uint64(i)) }},
	"PING ACK": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.PingAck([8]byte{1})
	}},
	"SETTINGS":     {frame: func(_ testing.TB, p *testpeer.Peer, _ int) { p.Settings() }},
	"SETTINGS ACK": {frame: func(_ testing.TB, p *testpeer.Peer, _ int) { p.SettingsAck() }},
	"SETTINGS that move the window up and down": {before: openHold, frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2 * 100_000)})
	}},
	"SETTINGS that move the HPACK table": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(i % 2 * 4096)})
	}},
	"PRIORITY": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Priority(odd(i), http2.PriorityParam{StreamDep: 0, Weight: 1})
	}},
	"empty DATA": {before: openHold, frame: func(_ testing.TB, p *testpeer.Peer, _ int) { p.Data(1, nil) }},
	"DATA of padding alone": {before: openHold, frame: func(_ testing.TB, p *testpeer.Peer, _ int) {
		p.DataPadded(1, nil, 1, false)
	}},
	"empty CONTINUATION": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		if i%50 == 0 {
			p.OpenHeaders(odd(i/50), testpeer.Literal(testpeer.Request(hold)...), false)
		}
		p.Continuation(odd(i/50), nil, i%50 == 49)
	}},
	"tiny CONTINUATION": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		block := testpeer.Literal(testpeer.Request(hold)...)
		at := i % 50
		if at == 0 {
			p.OpenHeaders(odd(i/50), block[:len(block)-49], false)
		} else {
			from := len(block) - 50 + at
			p.Continuation(odd(i/50), block[from:from+1], at == 49)
		}
	}},
	"WINDOW_UPDATE of the connection": {frame: func(_ testing.TB, p *testpeer.Peer, _ int) { p.WindowUpdate(0, 1) }},
	"WINDOW_UPDATE of a stream":       {before: openHold, frame: func(_ testing.TB, p *testpeer.Peer, _ int) { p.WindowUpdate(1, 1) }},
	"unknown frames": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Frame(http2.FrameType(200), 0, 0, []byte("x"))
	}},
	"GOAWAY": {frame: func(_ testing.TB, p *testpeer.Peer, _ int) { p.GoAway(0, http2.ErrCodeNo, "") }},
	"streams beyond the limit": {
		opts: []callboard.ServerOption{callboard.MaxConcurrentStreams(1)}, before: openHold,
		frame: func(_ testing.TB, p *testpeer.Peer, i int) { p.Headers(odd(i+1), testpeer.Request(hold)...) },
	},
	"requests of methods that are not there, reset at once": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.Headers(odd(i), testpeer.Request("/no.Such/Method")...)
		p.RST(odd(i), http2.ErrCodeCancel)
	}},
	"requests that are not gRPC": {frame: func(_ testing.TB, p *testpeer.Peer, i int) {
		p.HeadersEnd(odd(i), testpeer.Request(echo).Set("content-type", "text/html")...)
	}},
}

func TestFloodsAreCut(t *testing.T) {
	for name, f := range floods {
		for _, manners := range []string{"reading", "deaf"} {
			t.Run(name+", "+manners, func(t *testing.T) {
				s := serve(t, f.opts...)
				p := testpeer.Dial(t, s.addr, testpeer.Rude())
				p.Handshake()
				p.SettingsAck()
				if f.before != nil {
					f.before(t, p)
				}
				if manners == "deaf" {
					p.StopReading()
				}
				const most = 50_000
				began := time.Now()
				sent := p.Flood(most, func(i int) { f.frame(t, p, i) })
				if sent == most {
					t.Errorf("%d of them were taken in %v", sent, time.Since(began))
				}
				p.StartReading()
				if manners == "reading" {
					p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
				}
				p.ExpectClosed(soon)
				p.Close()
				s.release()
				s.quiet()
			})
		}
	}
}

// A burst below the budget is nobody's flood.
func TestBurstsAreTolerated(t *testing.T) {
	s := serve(t, lenient)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	const each = 150
	p.Batch(func() {
		for i := range each {
			p.Headers(odd(i), testpeer.Request(hold)...)
			p.RST(odd(i), http2.ErrCodeCancel)
			p.Ping(uint64(i))
			p.Settings()
			p.WindowUpdate(0, 1)
			p.Priority(odd(i), http2.PriorityParam{})
			p.Frame(http2.FrameType(99), 0, 0, nil)
		}
	})
	p.ExpectAlive()
	id := odd(each)
	p.Headers(id, testpeer.Request(echo)...)
	p.DataEnd(id, payload(t, 100))
	p.ExpectTrailers(id, codes.OK)
}

// Honest traffic of any volume is no flood either: every DATA frame is worth
// two WINDOW_UPDATEs, resets of what was answered cost nothing extra.
func TestHonestTrafficIsNoFlood(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(chat)...)
	msg := payload(t, 4000)
	for range 3000 {
		p.Data(1, msg)
		p.ExpectMessage(1)
		p.WindowUpdate(1, uint32(len(msg)))
		p.WindowUpdate(0, uint32(len(msg)))
	}
	p.DataEnd(1, nil)
	p.ExpectTrailers(1, codes.OK)
}

func TestFloodersLeaveNothingBehind(t *testing.T) {
	s := serve(t)
	warm := testpeer.Dial(t, s.addr)
	warm.Handshake()
	attack := func(times int) (heap int64, goroutines int) {
		for _, name := range []string{"rapid reset", "SETTINGS", "malformed requests", "streams beyond the limit"} {
			t.Run(name, func(t *testing.T) { // the peers, and what they remember, go with it
				for range times {
					p := testpeer.Dial(t, s.addr, testpeer.Rude())
					p.Handshake()
					p.Flood(20_000, func(i int) { floods[name].frame(t, p, i) })
					p.Close()
				}
			})
		}
		if !eventually(func() bool { return count(s.sys, "conn") == 1 && s.running.Load() == 0 }) {
			t.Fatalf("connections are left:\n%v", s.sys.Inspect())
		}
		return held(), runtime.NumGoroutine()
	}
	// Workers with nothing to do stay for a while, as many as were needed at one
	// The first attack leaves room behind (workers, maps that were full once);
	// what grows with every further one is a leak.
	heap, goroutines := attack(3)
	moreHeap, moreGoroutines := attack(9)
	if grown := moreHeap - heap; grown > 24<<20 {
		t.Errorf("%d octets more are held", grown)
	}
	if moreGoroutines > goroutines+500 {
		t.Errorf("%d goroutines, there were %d", moreGoroutines, goroutines)
	}
	warm.ExpectAlive()
}

// The connection that ends a flood is gone within a moment: GOAWAY is flushed,
// nothing waits for the flooder.
func TestFloodEndsAtOnce(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr, testpeer.Rude())
	p.Handshake()
	p.SettingsAck()
	frame := append(testpeer.FrameHeader(0, http2.FrameSettings, 0, 0), 0)[:9]
	var batch []byte
	for range 1100 {
		batch = append(batch, frame...)
	}
	began := time.Now()
	p.Raw(batch)
	p.ExpectGoAway(http2.ErrCodeEnhanceYourCalm)
	said := time.Since(began)
	p.ExpectClosed(soon)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("GOAWAY after %v, closed after %v", said, took)
	}
}

// A flood of one connection does not cost another one its service.
func TestFloodLeavesOthersAlone(t *testing.T) {
	s := serve(t)
	good := testpeer.Dial(t, s.addr)
	good.Handshake()
	bad := testpeer.Dial(t, s.addr, testpeer.Rude())
	bad.Handshake()
	done := make(chan struct{})
	go func() {
		defer close(done)
		bad.Flood(50_000, func(i int) {
			bad.Headers(odd(i), testpeer.Request(hold)...)
			bad.RST(odd(i), http2.ErrCodeCancel)
		})
	}()
	for i := range 50 {
		good.Headers(odd(i), testpeer.Request(echo)...)
		good.DataEnd(odd(i), payload(t, 100))
		good.ExpectTrailers(odd(i), codes.OK)
	}
	<-done
	bad.ExpectClosed(soon)
	good.ExpectAlive()
}
