package safety_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// u32 is a 32-bit payload.
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// violations of RFC 9113 by a client. Each gets one answer: a GOAWAY with the
// code and the end of the connection, or, with stream set, an RST_STREAM with
// the code while the connection goes on.
var violations = map[string]struct {
	send   func(t testing.TB, p *testpeer.Peer)
	code   http2.ErrCode
	stream uint32
}{
	// Idle streams (5.1).
	"DATA on an idle stream":          {func(_ testing.TB, p *testpeer.Peer) { p.Data(1, []byte("x")) }, http2.ErrCodeProtocol, 0},
	"RST_STREAM on an idle stream":    {func(_ testing.TB, p *testpeer.Peer) { p.RST(1, http2.ErrCodeCancel) }, http2.ErrCodeProtocol, 0},
	"WINDOW_UPDATE on an idle stream": {func(_ testing.TB, p *testpeer.Peer) { p.WindowUpdate(1, 1) }, http2.ErrCodeProtocol, 0},
	"DATA on a stream of the server":  {func(_ testing.TB, p *testpeer.Peer) { p.Data(2, []byte("x")) }, http2.ErrCodeProtocol, 0},

	// Stream ids (5.1.1).
	"an even stream id":    {func(_ testing.TB, p *testpeer.Peer) { p.Headers(2, testpeer.Request(hold)...) }, http2.ErrCodeProtocol, 0},
	"stream 0 for HEADERS": {func(_ testing.TB, p *testpeer.Peer) { p.Headers(0, testpeer.Request(hold)...) }, http2.ErrCodeProtocol, 0},
	"a decreasing stream id": {func(_ testing.TB, p *testpeer.Peer) {
		p.Headers(5, testpeer.Request(hold)...)
		p.Headers(3, testpeer.Request(hold)...)
	}, http2.ErrCodeProtocol, 0},

	// Ended and closed streams (5.1).
	"DATA after END_STREAM": {func(_ testing.TB, p *testpeer.Peer) {
		p.HeadersEnd(1, testpeer.Request(deaf)...)
		p.Data(1, []byte("x"))
	}, http2.ErrCodeStreamClosed, 1},
	"HEADERS after END_STREAM": {func(_ testing.TB, p *testpeer.Peer) {
		p.HeadersEnd(1, testpeer.Request(deaf)...)
		p.HeadersEnd(1, testpeer.Request(deaf)...)
	}, http2.ErrCodeStreamClosed, 0},
	"DATA after our own RST_STREAM": {func(_ testing.TB, p *testpeer.Peer) {
		p.Headers(1, testpeer.Request(hold)...)
		p.RST(1, http2.ErrCodeCancel)
		p.Data(1, []byte("x"))
	}, http2.ErrCodeStreamClosed, 1},
	"a second header block without END_STREAM": {func(_ testing.TB, p *testpeer.Peer) {
		p.Headers(1, testpeer.Request(hold)...)
		p.Headers(1, testpeer.Fields{}.With("a", "b")...)
	}, http2.ErrCodeProtocol, 1},

	// Flow control (6.9).
	"WINDOW_UPDATE of 0, connection":        {func(_ testing.TB, p *testpeer.Peer) { p.WindowUpdate(0, 0) }, http2.ErrCodeProtocol, 0},
	"connection window above 2^31-1":        {func(_ testing.TB, p *testpeer.Peer) { p.WindowUpdate(0, 1<<31-1) }, http2.ErrCodeFlowControl, 0},
	"WINDOW_UPDATE of 3 octets":             {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameWindowUpdate, 0, 0, make([]byte, 3)) }, http2.ErrCodeFrameSize, 0},
	"INITIAL_WINDOW_SIZE above 2^31-1":      {settingOf(http2.SettingInitialWindowSize, 1<<31), http2.ErrCodeFlowControl, 0},
	"WINDOW_UPDATE of 0, stream":            {onOpen(func(p *testpeer.Peer) { p.WindowUpdate(1, 0) }), http2.ErrCodeProtocol, 1},
	"stream window above 2^31-1":            {onOpen(func(p *testpeer.Peer) { p.WindowUpdate(1, 1<<31-1) }), http2.ErrCodeFlowControl, 1},
	"stream window above 2^31-1, in pieces": {onOpen(func(p *testpeer.Peer) { p.WindowUpdate(1, 1<<30); p.WindowUpdate(1, 1<<30) }), http2.ErrCodeFlowControl, 1},
	"window made too large by SETTINGS": {onOpen(func(p *testpeer.Peer) {
		p.WindowUpdate(1, 1<<31-1-65_535)
		p.ExpectAlive() // frames that arrive together may be taken in another order
		p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	}), http2.ErrCodeFlowControl, 0},

	// SETTINGS (6.5).
	"MAX_FRAME_SIZE below its range": {settingOf(http2.SettingMaxFrameSize, 16_383), http2.ErrCodeProtocol, 0},
	"MAX_FRAME_SIZE above its range": {settingOf(http2.SettingMaxFrameSize, 1<<24), http2.ErrCodeProtocol, 0},
	"ENABLE_PUSH of 2":               {settingOf(http2.SettingEnablePush, 2), http2.ErrCodeProtocol, 0},
	"SETTINGS on a stream":           {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameSettings, 0, 1, nil) }, http2.ErrCodeProtocol, 0},
	"SETTINGS of 5 octets":           {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameSettings, 0, 0, make([]byte, 5)) }, http2.ErrCodeFrameSize, 0},
	"SETTINGS ACK with a payload":    {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameSettings, 1, 0, make([]byte, 6)) }, http2.ErrCodeFrameSize, 0},

	// Frames of the wrong form or in the wrong place.
	"PUSH_PROMISE of a client": {onOpen(func(p *testpeer.Peer) {
		p.Frame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, append(u32(2), testpeer.Literal(testpeer.Request(hold)...)...))
	}), http2.ErrCodeProtocol, 0},
	"PING of 7 octets":                {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FramePing, 0, 0, make([]byte, 7)) }, http2.ErrCodeFrameSize, 0},
	"PING on a stream":                {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FramePing, 0, 1, make([]byte, 8)) }, http2.ErrCodeProtocol, 0},
	"GOAWAY on a stream":              {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameGoAway, 0, 1, make([]byte, 8)) }, http2.ErrCodeProtocol, 0},
	"GOAWAY of 7 octets":              {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameGoAway, 0, 0, make([]byte, 7)) }, http2.ErrCodeFrameSize, 0},
	"RST_STREAM of 5 octets":          {onOpen(func(p *testpeer.Peer) { p.Frame(http2.FrameRSTStream, 0, 1, make([]byte, 5)) }), http2.ErrCodeFrameSize, 0},
	"RST_STREAM on stream 0":          {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameRSTStream, 0, 0, u32(0)) }, http2.ErrCodeProtocol, 0},
	"DATA on stream 0":                {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FrameData, 0, 0, []byte("x")) }, http2.ErrCodeProtocol, 0},
	"DATA padded beyond its end":      {onOpen(func(p *testpeer.Peer) { p.Frame(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 0, 0}) }), http2.ErrCodeProtocol, 0},
	"DATA without its padding length": {onOpen(func(p *testpeer.Peer) { p.Frame(http2.FrameData, http2.FlagDataPadded, 1, nil) }), http2.ErrCodeFrameSize, 0},
	"HEADERS padded beyond their end": {func(_ testing.TB, p *testpeer.Peer) {
		p.Frame(http2.FrameHeaders, http2.FlagHeadersPadded|4, 1, []byte{200, 0})
	}, http2.ErrCodeProtocol, 0},
	"a frame above MAX_FRAME_SIZE":     {onOpen(func(p *testpeer.Peer) { p.Raw(testpeer.FrameHeader(16_385, http2.FrameData, 0, 1)) }), http2.ErrCodeFrameSize, 0},
	"CONTINUATION without HEADERS":     {func(_ testing.TB, p *testpeer.Peer) { p.Continuation(1, nil, true) }, http2.ErrCodeProtocol, 0},
	"CONTINUATION after END_HEADERS":   {onOpen(func(p *testpeer.Peer) { p.Continuation(1, nil, true) }), http2.ErrCodeProtocol, 0},
	"CONTINUATION of another stream":   {opened(func(p *testpeer.Peer) { p.Continuation(3, nil, true) }), http2.ErrCodeProtocol, 0},
	"PING inside a header block":       {opened(func(p *testpeer.Peer) { p.Ping(1) }), http2.ErrCodeProtocol, 0},
	"unknown frame in a header block":  {opened(func(p *testpeer.Peer) { p.Frame(http2.FrameType(77), 0, 1, nil) }), http2.ErrCodeProtocol, 0},
	"HEADERS that depend on itself":    {selfDependent, http2.ErrCodeProtocol, 1},
	"PRIORITY of a stream on itself":   {onOpen(func(p *testpeer.Peer) { p.Priority(1, http2.PriorityParam{StreamDep: 1}) }), http2.ErrCodeProtocol, 1},
	"PRIORITY of 4 octets":             {onOpen(func(p *testpeer.Peer) { p.Frame(http2.FramePriority, 0, 1, make([]byte, 4)) }), http2.ErrCodeFrameSize, 1},
	"PRIORITY on stream 0":             {func(_ testing.TB, p *testpeer.Peer) { p.Frame(http2.FramePriority, 0, 0, make([]byte, 5)) }, http2.ErrCodeProtocol, 0},
	"header block: Huffman garbage":    {block(testpeer.HuffmanGarbage()), http2.ErrCodeCompression, 0},
	"header block: unknown index":      {block(testpeer.UnknownIndex()), http2.ErrCodeCompression, 0},
	"header block: table too large":    {block(testpeer.TableTooLarge()), http2.ErrCodeCompression, 0},
	"header block: truncated field":    {block(testpeer.TruncatedField()), http2.ErrCodeCompression, 0},
	"header block: endless integer":    {block(testpeer.EndlessInteger()), http2.ErrCodeCompression, 0},
	"header block: size update inside": {block(append(testpeer.Literal(testpeer.Request(hold)...), 0x20)), http2.ErrCodeCompression, 0},
	"trailers: Huffman garbage":        {onOpen(func(p *testpeer.Peer) { p.Block(1, testpeer.HuffmanGarbage(), true) }), http2.ErrCodeCompression, 0},
}

func settingOf(id http2.SettingID, v uint32) func(testing.TB, *testpeer.Peer) {
	return func(_ testing.TB, p *testpeer.Peer) { p.Settings(http2.Setting{ID: id, Val: v}) }
}

// onOpen runs f with stream 1 open.
func onOpen(f func(*testpeer.Peer)) func(testing.TB, *testpeer.Peer) {
	return func(_ testing.TB, p *testpeer.Peer) {
		p.Headers(1, testpeer.Request(hold)...)
		f(p)
	}
}

// opened runs f inside the header block of stream 1.
func opened(f func(*testpeer.Peer)) func(testing.TB, *testpeer.Peer) {
	return func(_ testing.TB, p *testpeer.Peer) {
		p.OpenHeaders(1, testpeer.Literal(testpeer.Request(hold)...), false)
		f(p)
	}
}

func block(b []byte) func(testing.TB, *testpeer.Peer) {
	return func(_ testing.TB, p *testpeer.Peer) { p.Block(1, b, false) }
}

func selfDependent(_ testing.TB, p *testpeer.Peer) {
	p.Frame(http2.FrameHeaders, http2.FlagHeadersPriority|http2.FlagHeadersEndHeaders, 1,
		append(append(u32(1), 0), testpeer.Literal(testpeer.Request(hold)...)...))
}

func TestProtocolViolations(t *testing.T) {
	for name, v := range violations {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			v.send(t, p)
			if v.stream == 0 {
				p.ExpectGoAway(v.code)
				p.ExpectClosed(soon)
				return
			}
			p.ExpectRST(v.stream, v.code)
			p.ExpectAlive()
			p.Headers(101, testpeer.Request(echo)...)
			p.DataEnd(101, payload(t, 10))
			p.ExpectTrailers(101, codes.OK)
		})
	}
}

// The first frame of a client is SETTINGS (3.4).
func TestFirstFrameIsSettings(t *testing.T) {
	for name, first := range map[string]func(p *testpeer.Peer){
		"PING":         func(p *testpeer.Peer) { p.Ping(1) },
		"HEADERS":      func(p *testpeer.Peer) { p.Headers(1, testpeer.Request(hold)...) },
		"SETTINGS ACK": func(p *testpeer.Peer) { p.SettingsAck() },
		"unknown":      func(p *testpeer.Peer) { p.Frame(http2.FrameType(77), 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Preface()
			first(p)
			p.ExpectGoAway(http2.ErrCodeProtocol)
			p.ExpectClosed(soon)
			if got := s.started.Load(); got != 0 {
				t.Errorf("%d handlers were started", got)
			}
		})
	}
}

// What is allowed, however odd, is not answered with an error.
func TestToleratedOddities(t *testing.T) {
	for name, send := range map[string]func(p *testpeer.Peer){
		"unknown frame":              func(p *testpeer.Peer) { p.Frame(http2.FrameType(77), 0xff, 9, bytes.Repeat([]byte("x"), 300)) },
		"unknown setting":            func(p *testpeer.Peer) { p.Settings(http2.Setting{ID: 0x4242, Val: 1}) },
		"PRIORITY of an idle stream": func(p *testpeer.Peer) { p.Priority(99, http2.PriorityParam{StreamDep: 1}) },
		"reserved bit in a stream id": func(p *testpeer.Peer) {
			p.Raw(append(testpeer.FrameHeader(8, http2.FramePing, 0, 1<<31), make([]byte, 8)...))
			p.Resume()
		},
		"GOAWAY":             func(p *testpeer.Peer) { p.GoAway(0, http2.ErrCodeNo, "bye \r\n\x00") },
		"skipped stream ids": func(p *testpeer.Peer) { p.HeadersEnd(41, testpeer.Request(sink)...); p.ExpectTrailers(41, codes.OK) },
		"RST_STREAM of a closed stream": func(p *testpeer.Peer) {
			p.HeadersEnd(1, testpeer.Request(sink)...)
			p.ExpectTrailers(1, codes.OK)
			p.RST(1, http2.ErrCodeNo)
		},
		"WINDOW_UPDATE of a closed one": func(p *testpeer.Peer) {
			p.HeadersEnd(1, testpeer.Request(sink)...)
			p.ExpectTrailers(1, codes.OK)
			p.WindowUpdate(1, 9)
		},
		"window made negative": func(p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(hold)...)
			p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		},
		"two table size updates": func(p *testpeer.Peer) {
			p.Block(1, append([]byte{0x20, 0x3f, 0xe1, 0x1f}, testpeer.Literal(testpeer.Request(sink)...)...), true)
		},
		"padded DATA": func(p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(sink)...)
			p.DataPadded(1, []byte{0, 0, 0, 0, 0}, 255, true)
			p.ExpectTrailers(1, codes.OK)
		},
		"message in frames of one octet": func(p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(sink)...)
			bytewise(p, 1, []byte{0, 0, 0, 0, 2, 0x0a, 0})
			p.ExpectTrailers(1, codes.OK)
		},
		"request trailers": func(p *testpeer.Peer) {
			p.Headers(1, testpeer.Request(sink)...)
			p.HeadersEnd(1, testpeer.Fields{}.With("a", "b")...)
			p.ExpectTrailers(1, codes.OK)
		},
		"PING with a payload of our kind": func(p *testpeer.Peer) { p.Ping(0x6362726400000001) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			p := testpeer.Dial(t, s.addr)
			p.Handshake()
			send(p)
			p.ExpectAlive()
			p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65_535})
			p.Headers(101, testpeer.Request(echo)...)
			p.DataEnd(101, payload(t, 10))
			p.ExpectTrailers(101, codes.OK)
		})
	}
}

func bytewise(p *testpeer.Peer, id uint32, b []byte) {
	for i := range b {
		if i == len(b)-1 {
			p.DataEnd(id, b[i:])
			return
		}
		p.Data(id, b[i:i+1])
	}
}
