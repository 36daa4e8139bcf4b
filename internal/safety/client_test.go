package safety_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// What a server does wrong to the whole connection: GOAWAY with the code, the
// call ends as UNAVAILABLE.
func TestServerViolations(t *testing.T) {
	for name, v := range map[string]struct {
		send func(p *testpeer.Peer, id uint32)
		code http2.ErrCode
	}{
		"PUSH_PROMISE": {func(p *testpeer.Peer, id uint32) {
			p.Frame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, id, append(u32(2), testpeer.Literal(testpeer.Request(echo)...)...))
		}, http2.ErrCodeProtocol},
		"HEADERS of a stream of its own":  {func(p *testpeer.Peer, _ uint32) { p.Headers(2, testpeer.Response()...) }, http2.ErrCodeProtocol},
		"HEADERS of an idle stream":       {func(p *testpeer.Peer, id uint32) { p.Headers(id+2, testpeer.Response()...) }, http2.ErrCodeProtocol},
		"DATA of an idle stream":          {func(p *testpeer.Peer, id uint32) { p.Data(id+2, []byte("x")) }, http2.ErrCodeProtocol},
		"RST_STREAM of an idle stream":    {func(p *testpeer.Peer, id uint32) { p.RST(id+2, http2.ErrCodeCancel) }, http2.ErrCodeProtocol},
		"WINDOW_UPDATE of an idle stream": {func(p *testpeer.Peer, id uint32) { p.WindowUpdate(id+2, 1) }, http2.ErrCodeProtocol},
		"GOAWAY of an even stream":        {func(p *testpeer.Peer, _ uint32) { p.GoAway(2, http2.ErrCodeNo, "") }, http2.ErrCodeProtocol},
		"GOAWAY that grows": {func(p *testpeer.Peer, id uint32) {
			p.GoAway(id, http2.ErrCodeNo, "")
			p.GoAway(id+2, http2.ErrCodeNo, "")
		}, http2.ErrCodeProtocol},
		"ENABLE_PUSH of 1": {func(p *testpeer.Peer, _ uint32) {
			p.Settings(http2.Setting{ID: http2.SettingEnablePush, Val: 1})
		}, http2.ErrCodeProtocol},
		"garbage in a header block": {func(p *testpeer.Peer, id uint32) { p.Block(id, testpeer.HuffmanGarbage(), false) }, http2.ErrCodeCompression},
		"a header bomb":             {func(p *testpeer.Peer, id uint32) { p.Block(id, testpeer.HeaderBomb(4000, 10_000), false) }, http2.ErrCodeEnhanceYourCalm},
		"33 settings": {func(p *testpeer.Peer, _ uint32) {
			p.Frame(http2.FrameSettings, 0, 0, bytes.Repeat([]byte{0x42, 0x42, 0, 0, 0, 0}, 33))
		}, http2.ErrCodeEnhanceYourCalm},
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			done := l.Script(func(p *testpeer.Peer) {
				p.Handshake()
				v.send(p, p.ExpectRequest().ID)
				p.ExpectGoAway(v.code)
				p.ExpectClosed(soon)
			})
			c := call(t, l.Addr())
			wants(t, within(t, c.start(deadline(t)), 2*soon), codes.Unavailable)
			<-done
		})
	}
}

func TestHeadersAfterTheResponse(t *testing.T) {
	l := testpeer.Listen(t)
	done := l.Script(func(p *testpeer.Peer) {
		p.Handshake()
		id := p.ExpectRequest().ID
		reply(t, p, id)
		p.Trailers(id, codes.OK, "")
		p.ExpectGoAway(http2.ErrCodeStreamClosed)
		p.ExpectClosed(soon)
	})
	c := call(t, l.Addr())
	if err := within(t, c.start(deadline(t)), soon); err != nil {
		t.Error(err) // the response was complete
	}
	<-done
}

func TestServerOverrunsTheConnectionWindow(t *testing.T) {
	l := testpeer.Listen(t)
	done := l.Script(func(p *testpeer.Peer) {
		p.Handshake()
		id := p.ExpectRequest().ID
		p.Headers(id, testpeer.Response()...)
		p.Flood(2000, func(int) { p.Data(id, payload(t, 997)) }) // never to the window's last octet
		p.ExpectGoAway(http2.ErrCodeFlowControl)
		p.ExpectClosed(soon)
	})
	c := call(t, l.Addr(), callboard.WithInitialWindowSize(4<<20))
	cs := c.stream(deadline(t), chat)
	<-done
	got, err := drain(cs)
	wants(t, err, codes.Unavailable)
	if len(got) > 1100 {
		t.Errorf("%d messages were taken", len(got))
	}
}

// Floods of a server are cut as those of a client are.
func TestServerFloodsAreCut(t *testing.T) {
	for name, frame := range map[string]func(p *testpeer.Peer, id uint32, i int){
		"SETTINGS":        func(p *testpeer.Peer, _ uint32, _ int) { p.Settings() },
		"PING":            func(p *testpeer.Peer, _ uint32, i int) { p.Ping(uint64(i)) },
		"empty DATA":      func(p *testpeer.Peer, id uint32, _ int) { p.Data(id, nil) },
		"unknown frames":  func(p *testpeer.Peer, _ uint32, _ int) { p.Frame(http2.FrameType(99), 0, 0, nil) },
		"WINDOW_UPDATE":   func(p *testpeer.Peer, _ uint32, _ int) { p.WindowUpdate(0, 1) },
		"RST_STREAM":      func(p *testpeer.Peer, id uint32, _ int) { p.RST(id, http2.ErrCodeCancel) },
		"GOAWAY":          func(p *testpeer.Peer, _ uint32, _ int) { p.GoAway(1<<31-1, http2.ErrCodeNo, "") },
		"PRIORITY":        func(p *testpeer.Peer, id uint32, _ int) { p.Priority(id, http2.PriorityParam{}) },
		"interim headers": func(p *testpeer.Peer, id uint32, _ int) { p.Headers(id, testpeer.Fields{}.With(":status", "103")...) },
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t, testpeer.Rude())
			done := l.Script(func(p *testpeer.Peer) {
				p.Handshake()
				p.SettingsAck()
				id := p.ExpectRequest().ID
				if name == "empty DATA" {
					p.Headers(id, testpeer.Response()...)
				}
				if n := p.Flood(50_000, func(i int) { frame(p, id, i) }); n == 50_000 && name != "interim headers" {
					t.Errorf("all of %d were taken", n)
				}
				if name == "interim headers" {
					p.ExpectRST(id, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeProtocol)
					return
				}
				p.ExpectClosed(soon)
			})
			c := call(t, l.Addr())
			if err := within(t, c.start(deadline(t)), 2*soon); err == nil {
				t.Error("the call was a success")
			}
			<-done
		})
	}
}

// Bad responses are a matter of their RPC: the status that gRPC names, the
// connection goes on.
func TestBadResponses(t *testing.T) {
	head := testpeer.Response()
	for name, v := range map[string]struct {
		send func(p *testpeer.Peer, id uint32)
		code codes.Code
	}{
		"no grpc-status":      {func(p *testpeer.Peer, id uint32) { p.HeadersEnd(id, head...) }, codes.Unknown},
		"DATA ends it":        {func(p *testpeer.Peer, id uint32) { p.Headers(id, head...); p.DataEnd(id, payload(t, 1)) }, codes.Internal},
		"grpc-status of junk": {func(p *testpeer.Peer, id uint32) { p.HeadersEnd(id, head.With("grpc-status", "x")...) }, codes.Unknown},
		"grpc-status of 99":   {func(p *testpeer.Peer, id uint32) { p.HeadersEnd(id, head.With("grpc-status", "99")...) }, codes.Code(99)},
		"status details that contradict": {func(p *testpeer.Peer, id uint32) {
			p.HeadersEnd(id, head.With("grpc-status", "5").With("grpc-status-details-bin", "!!!")...)
		}, codes.NotFound},
		"a message full of control characters": {func(p *testpeer.Peer, id uint32) {
			p.HeadersEnd(id, head.With("grpc-status", "5").With("grpc-message", "a%0D%0Ab%1B[31m")...)
		}, codes.NotFound},
		"HTTP 404":            {func(p *testpeer.Peer, id uint32) { p.HeadersEnd(id, testpeer.Fields{}.With(":status", "404")...) }, codes.Unimplemented},
		"HTTP 503":            {func(p *testpeer.Peer, id uint32) { p.HeadersEnd(id, testpeer.Fields{}.With(":status", "503")...) }, codes.Unavailable},
		"HTTP 200 of HTML":    {func(p *testpeer.Peer, id uint32) { p.HeadersEnd(id, head.Set("content-type", "text/html")...) }, codes.Unknown},
		"no :status":          {func(p *testpeer.Peer, id uint32) { p.Headers(id, head.Without(":status")...) }, codes.Internal},
		"two :status":         {func(p *testpeer.Peer, id uint32) { p.Headers(id, head.First(":status", "200")...) }, codes.Internal},
		"upper-case field":    {func(p *testpeer.Peer, id uint32) { p.Block(id, testpeer.Literal(head.With("A", "b")...), false) }, codes.Internal},
		"DATA before HEADERS": {func(p *testpeer.Peer, id uint32) { p.Data(id, payload(t, 1)) }, codes.Internal},
		"compressed, unnamed": {respond(head, framed(1, gzipped(t, encoded(t, 5)))), codes.Internal},
		"flag of 7":           {respond(head, framed(7, encoded(t, 5))), codes.Internal},
		"garbage of protobuf": {respond(head, framed(0, []byte{0xff, 0xff})), codes.Internal},
		"garbage of gzip":     {respond(head.With("grpc-encoding", "gzip"), framed(1, []byte("no gzip"))), codes.Internal},
		"a bomb":              {respond(head.With("grpc-encoding", "gzip"), framed(1, gzipped(t, encoded(t, 16<<20)))), codes.ResourceExhausted},
		"unknown compression": {respond(head.With("grpc-encoding", "oh"), framed(1, []byte("xx"))), codes.Internal},
		"a message of 4 GiB":  {func(p *testpeer.Peer, id uint32) { p.Headers(id, head...); p.Data(id, testpeer.Prefix(0, 1<<32-1)) }, codes.ResourceExhausted},
		"no message":          {respond(head, nil), codes.Unimplemented},
		"two messages":        {respond(head, join(payload(t, 1), payload(t, 1))), codes.Unimplemented},
		"half a message":      {respond(head, payload(t, 50)[:20]), codes.Internal},
		"too large a header":  {func(p *testpeer.Peer, id uint32) { p.Headers(id, append(head, headerFill(2, 17<<10)...)...) }, codes.ResourceExhausted},
		"too large a trailer": {func(p *testpeer.Peer, id uint32) {
			p.Headers(id, head...)
			p.HeadersEnd(id, append(testpeer.Status(0, ""), headerFill(2, 17<<10)...)...)
		}, codes.ResourceExhausted},
		"bad -bin metadata": {func(p *testpeer.Peer, id uint32) { p.Headers(id, head.With("x-bin", "!!!")...) }, codes.Internal},
		"RST REFUSED_STREAM": {func(p *testpeer.Peer, id uint32) {
			p.RST(id, http2.ErrCodeRefusedStream)
			p.RST(p.ExpectRequest().ID, http2.ErrCodeRefusedStream)
		}, codes.Unavailable},
		"RST CANCEL":           {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeCancel) }, codes.Canceled},
		"RST INTERNAL":         {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeInternal) }, codes.Internal},
		"RST ENHANCE":          {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeEnhanceYourCalm) }, codes.ResourceExhausted},
		"RST INADEQUATE":       {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeInadequateSecurity) }, codes.PermissionDenied},
		"RST unknown":          {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCode(0xbeef)) }, codes.Unknown},
		"RST NO_ERROR":         {func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeNo) }, codes.Internal},
		"WINDOW_UPDATE of 0":   {func(p *testpeer.Peer, id uint32) { p.WindowUpdate(id, 0) }, codes.Internal},
		"content-length wrong": {respond(head.With("content-length", "3"), payload(t, 1)), codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			done := l.Script(func(p *testpeer.Peer) {
				p.Handshake()
				v.send(p, p.ExpectRequest().ID)
				reply(t, p, p.ExpectRequest().ID)
			})
			c := call(t, l.Addr())
			err := within(t, c.start(deadline(t)), 2*soon)
			if grpcCode(err) != v.code {
				t.Errorf("got %v, want %v", err, v.code)
			}
			if n := len(errText(err)); n > 1500 {
				t.Errorf("the error has %d octets", n)
			}
			if err := within(t, c.start(deadline(t)), 2*soon); err != nil {
				t.Errorf("the next call: %v", err)
			}
			<-done
		})
	}
}

func respond(head testpeer.Fields, body []byte) func(p *testpeer.Peer, id uint32) {
	return func(p *testpeer.Peer, id uint32) {
		p.Headers(id, head...)
		if body != nil {
			sendPieces(p, id, body, false)
		}
		p.Trailers(id, codes.OK, "")
	}
}

// A server that does not speak HTTP/2 is said to do so.
func TestNotAnHTTP2Server(t *testing.T) {
	for name, text := range map[string]string{
		"HTTP/1.1": "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"SSH":      "SSH-2.0-OpenSSH_9.2\r\n",
		"zeroes":   strings.Repeat("\x00", 64),
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			l.Script(func(p *testpeer.Peer) {
				p.ExpectPreface()
				p.Raw([]byte(text))
				p.ExpectClosed(soon)
			})
			c := call(t, l.Addr())
			wants(t, within(t, c.start(deadline(t)), 2*soon), codes.Unavailable)
		})
	}
}

// A client that waits for a stream at MAX_CONCURRENT_STREAMS keeps its
// deadline, its cancellation, and its place.
func TestParkedCalls(t *testing.T) {
	l := testpeer.Listen(t)
	const waiting = 20
	release := make(chan struct{})
	l.Script(func(p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
		first := p.ExpectRequest().ID
		<-release
		reply(t, p, first)
		for range waiting {
			reply(t, p, p.ExpectRequest().ID)
		}
	})
	c := call(t, l.Addr())
	first := c.start(deadline(t))
	if !eventually(func() bool { return count(c.sys, "stream") == 1 }) {
		t.Fatal("the first call has no stream")
	}
	var rest []<-chan error
	for range waiting {
		rest = append(rest, c.start(deadline(t)))
	}
	short, cancel := contextFor(awhile)
	defer cancel()
	wants(t, within(t, c.start(short), soon), codes.DeadlineExceeded)
	close(release)
	for _, ended := range append(rest, first) {
		if err := within(t, ended, soon); err != nil {
			t.Error(err)
		}
	}
}

// A server that announces no streams at all makes calls wait, not fail.
func TestNoStreamsAtFirst(t *testing.T) {
	l := testpeer.Listen(t)
	l.Script(func(p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0})
		p.ExpectOpen(awhile)
		p.Settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 5})
		reply(t, p, p.ExpectRequest().ID)
	})
	c := call(t, l.Addr())
	if err := within(t, c.start(deadline(t)), soon); err != nil {
		t.Error(err)
	}
}

// What the server cannot take is not sent.
func TestTheServersHeaderLimitIsKept(t *testing.T) {
	l := testpeer.Listen(t)
	l.Script(func(p *testpeer.Peer) {
		p.Handshake(http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 1000})
		reply(t, p, p.ExpectRequest().ID)
		reply(t, p, p.ExpectRequest().ID)
	})
	c := call(t, l.Addr())
	if err := within(t, c.start(deadline(t)), soon); err != nil {
		t.Error(err)
	}
	big := withMetadata(deadline(t), "x-big", strings.Repeat("b", 2000))
	if err := within(t, c.start(big), soon); err == nil {
		t.Error("a header list above the server's limit was sent")
	}
	if err := within(t, c.start(deadline(t), grpc.WaitForReady(true)), soon); err != nil {
		t.Error(err)
	}
}
