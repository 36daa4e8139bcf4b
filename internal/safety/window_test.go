package safety_test

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func TestStreamWindowIsEnforced(t *testing.T) {
	s := serve(t, callboard.InitialWindowSize(100_000))
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(hold)...)
	// A message that waits to be read: no room is made for the next one.
	p.Data(1, payload(t, 16_000))
	sendPieces(p, 1, payload(t, 100_000), false)
	p.ExpectRST(1, http2.ErrCodeFlowControl)
	alive(t, p, 3)
}

func TestConnectionWindowIsEnforced(t *testing.T) {
	s := serve(t, roomy)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Batch(func() {
		for i := range 4 {
			p.Headers(odd(i), testpeer.Request(deaf)...)
			for range 20 { // none of it is read
				p.Data(odd(i), payload(t, 15_000))
			}
		}
	})
	p.ExpectGoAway(http2.ErrCodeFlowControl)
	p.ExpectClosed(soon)
}

// What no application reads is not granted anew, on either level; what is read
// is, and nothing gets lost on the way.
func TestWindowsAreChargedUntilTheApplicationReads(t *testing.T) {
	s := serve(t, roomy)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(deaf)...)
	msg := payload(t, 16_000)
	n := (1 << 20) / len(msg)
	for range n {
		p.Data(1, msg)
	}
	s.settled(1)
	p.ExpectAlive()
	if got := p.Credit(0) - announced; got != 0 {
		t.Errorf("%d octets were granted though nothing was read", got)
	}
	if got := p.Credit(1); got != 0 {
		t.Errorf("%d octets were granted to the stream though nothing was read", got)
	}
	s.release() // the handler leaves: everything it did not read is given back
	p.ExpectTrailers(1, codes.OK)
	p.ExpectCredit(0, announced+int64(n*len(msg))*3/4)
	for i := 1; i <= 20; i++ {
		alive(t, p, odd(i))
	}
}

// The windows of streams that end in any way come back to the connection.
func TestConnectionWindowSurvivesManyDeadStreams(t *testing.T) {
	s := serve(t, lenient)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	chunk := payload(t, 30_000)
	ends := []func(id uint32){
		func(id uint32) { p.RST(id, http2.ErrCodeCancel) },
		func(id uint32) { p.Headers(id, testpeer.Fields{}.With(":bad", "")...) },
		func(id uint32) { p.DataEnd(id, []byte{0, 0}) },
		func(id uint32) { p.WindowUpdate(id, 0) },
		func(id uint32) { p.Data(id, testpeer.Prefix(0, 1<<30)) },
	}
	sent, last := int64(0), uint32(0)
	for i := range 150 {
		last = odd(i)
		p.Headers(last, testpeer.Request(hold)...)
		if over := sent + int64(len(chunk)) + 100 - 1<<20; over > 0 {
			p.ExpectCredit(0, announced+over)
		}
		sendPieces(p, last, chunk[:29_000], false) // an unfinished message
		sent += 29_100
		ends[i%len(ends)](last)
	}
	alive(t, p, last+2)
}

// Messages that are only announced hold no memory, and those that arrive in
// part hold what has arrived.
func TestPartialMessagesAreBudgeted(t *testing.T) {
	s := serve(t)
	before := held()
	var peers []*testpeer.Peer
	const conns, streams = 10, 60
	for range conns {
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		peers = append(peers, p)
		p.Batch(func() {
			for i := range streams {
				p.Headers(odd(i), testpeer.Request(sink)...)
				p.Data(odd(i), append(testpeer.Prefix(0, 4<<20), make([]byte, 100)...))
			}
		})
	}
	for _, p := range peers {
		p.ExpectAlive()
	}
	// 600 messages of 4 MiB are announced: 2.4 GiB.
	if grown := held() - before; grown > processBudget+24<<20 {
		t.Errorf("%d octets are held", grown)
	}
	if n := s.started.Load(); n != conns*streams {
		t.Errorf("%d handlers were started, want %d", n, conns*streams)
	}
	for _, p := range peers {
		p.Close() // and everything is given back
	}
	s.settled(0)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(sink)...)
	sendWithin(p, 1, payload(t, 4<<20-64), true)
	p.ExpectTrailers(1, codes.OK)
}

// Messages that have begun do not stop each other, however small the
// connection's window is: each can be finished.
func TestBegunMessagesDoNotStopEachOther(t *testing.T) {
	const streams, window = 16, 256 << 10
	s := serve(t, roomy, callboard.InitialConnWindowSize(window))
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	msg := payload(t, 1<<20)
	for i := range streams {
		p.Headers(odd(i), testpeer.Request(sink)...)
	}
	sent := 0
	for at := 0; at < len(msg); {
		n := min(8<<10, len(msg)-at)
		for i := range streams {
			if over := int64(sent + n - 65_535); over > 0 {
				p.ExpectCredit(0, over)
			}
			if at+n == len(msg) {
				p.DataEnd(odd(i), msg[at:])
			} else {
				p.Data(odd(i), msg[at:at+n])
			}
			sent += n
		}
		at += n
	}
	for i := range streams {
		p.ExpectTrailers(odd(i), codes.OK)
	}
}

// With the process's budget used up by others, a connection still gets one
// message through; the newest of several ends.
func TestTheNewestMessageGivesWay(t *testing.T) {
	s := serve(t, roomy)
	msg := payload(t, 16_000)
	for range processBudget>>20 + 10 {
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		p.Headers(1, testpeer.Request(deaf)...)
		for range 65 {
			p.Data(1, msg)
		}
		p.ExpectAlive()
	}
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	big := payload(t, 900_000)
	const streams = 60 // what others have left over may do for some of them
	for i := range streams {
		p.Headers(odd(i), testpeer.Request(sink)...)
		sendPieces(p, odd(i), big[:12_000], false)
	}
	p.ExpectTrailers(odd(streams-1), codes.ResourceExhausted)
	for i := range streams - 2 {
		p.RST(odd(i+1), http2.ErrCodeCancel) // whether it has ended or not
	}
	p.ExpectAlive()
	sendPieces(p, 1, big[12_000:], true)
	p.ExpectTrailers(1, codes.OK)
	alive(t, p, odd(streams))
}

// One message up to the receive limit fits whatever the windows are.
func TestOneMessageAlwaysFits(t *testing.T) {
	s := serve(t, callboard.InitialWindowSize(65_535), callboard.InitialConnWindowSize(65_535))
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(sink)...)
	b := payload(t, 4<<20-64)
	for sent, window := 0, 65_535; sent < len(b); {
		n := min(16<<10, len(b)-sent, window-sent)
		if n == 0 { // to the last octet, as a sender does
			window = 65_535 + int(min(p.ExpectCredit(0, int64(sent+1-65_535)), p.ExpectCredit(1, int64(sent+1-65_535))))
			continue
		}
		if sent += n; sent == len(b) {
			p.DataEnd(1, b[sent-n:])
		} else {
			p.Data(1, b[sent-n:sent])
		}
	}
	p.ExpectTrailers(1, codes.OK)
}

// Octets that applications do not read are bounded for the process, however
// many connections bring them. What does not fit ends its RPC; what is small
// goes on everywhere.
func TestUnreadOctetsAreBounded(t *testing.T) {
	const conns, streams = 120, 4
	s := serve(t, roomy)
	before := held()
	msg := payload(t, 16_000)
	var peers []*testpeer.Peer
	for range conns {
		p := testpeer.Dial(t, s.addr)
		p.Handshake()
		for i := range streams {
			p.Headers(odd(i), testpeer.Request(deaf)...)
			for range 16 {
				p.Data(odd(i), msg)
			}
		}
		p.ExpectAlive()
		peers = append(peers, p)
	}
	s.settled(conns * streams)
	// 120 MiB are let through by the windows; each connection has 64 KiB and a
	// message for nothing.
	if grown, most := held()-before, int64(processBudget+conns*(64<<10+16<<10)+24<<20); grown > most {
		t.Errorf("%d octets are held, more than %d", grown, most)
	}
	for _, p := range peers[conns-5:] {
		alive(t, p, 101)
	}
	s.release()
	for _, p := range peers {
		for i := range streams {
			p.ExpectTrailers(odd(i), codes.OK, codes.ResourceExhausted)
		}
	}
	s.settled(0)
	// All of it is given back: a new connection may hold as much again.
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(sink)...)
	for range 60 {
		p.Data(1, msg)
	}
	p.DataEnd(1, nil)
	p.ExpectTrailers(1, codes.OK)
}

// The stream whose message does not fit ends, and says why.
func TestWhatDoesNotFitEndsItsRPC(t *testing.T) {
	s := serve(t, roomy)
	msg := payload(t, 16_000)
	fill := func(p *testpeer.Peer, path string) {
		p.Handshake()
		p.Headers(1, testpeer.Request(path)...)
		for range 64 {
			p.Data(1, msg)
		}
		p.ExpectAlive()
	}
	for range processBudget>>20 + 10 {
		fill(testpeer.Dial(t, s.addr), deaf)
	}
	late := testpeer.Dial(t, s.addr)
	fill(late, slow)
	late.ExpectTrailers(1, codes.ResourceExhausted)
	alive(t, late, 3)
}

// A stream that nobody reads does not stop the others of its connection: the
// connection's window grows while there is memory for it.
func TestUnreadStreamsDoNotStopOthers(t *testing.T) {
	s := serve(t, roomy)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	p.Headers(1, testpeer.Request(deaf)...)
	sendWithin(p, 1, bytes.Repeat(payload(t, 15_000), 200), false)
	alive(t, p, 3)
}
