package testpeer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// Answer is a whole gRPC response.
type Answer struct {
	Headers  Fields // of the first block; nil when the response is trailers only
	Trailers Fields // of the last block
	Messages [][]byte
	Code     codes.Code
	Message  string // grpc-message as sent, still percent-encoded
}

// Inquiry is the opening of a request that a client under test made.
type Inquiry struct {
	ID     uint32
	Path   string
	Fields Fields
	Ends   bool // HEADERS carried END_STREAM
}

// ExpectHeaders waits for the next frame of the stream, which must be HEADERS.
func (p *Peer) ExpectHeaders(id uint32) *Frame {
	p.t.Helper()
	return p.ofType(id, http2.FrameHeaders)
}

// ExpectData waits for the next frame of the stream, which must be DATA.
func (p *Peer) ExpectData(id uint32) *Frame {
	p.t.Helper()
	return p.ofType(id, http2.FrameData)
}

// ExpectMessage waits for one gRPC message on the stream, across DATA frames,
// and returns its payload. Headers before it are passed over.
func (p *Peer) ExpectMessage(id uint32) []byte {
	p.t.Helper()
	for {
		if m, rest, ok := cutMessage(p.partial[id]); ok {
			p.partial[id] = rest
			return m
		}
		f := p.next(lane{id: id}, fmt.Sprintf("a message on stream %d", id))
		if f.Type != http2.FrameData && (f.Type != http2.FrameHeaders || f.Ends()) {
			p.fail("expected a message on stream %d, got %s", id, describe(f, 0))
		}
		p.partial[id] = append(p.partial[id], f.Data...)
	}
}

// ExpectTrailers waits for the end of a response and returns it whole. The
// status must be one of those given.
func (p *Peer) ExpectTrailers(id uint32, code codes.Code, or ...codes.Code) *Answer {
	p.t.Helper()
	a := p.ExpectAnswer(id)
	if !slices.Contains(append(or, code), a.Code) {
		p.fail("expected status %v on stream %d, got %v: %s", code, id, a.Code, a.Message)
	}
	return a
}

// ExpectAnswer is [Peer.ExpectTrailers] for any status.
func (p *Peer) ExpectAnswer(id uint32) *Answer {
	p.t.Helper()
	a := &Answer{}
	body := p.partial[id]
	for {
		f := p.next(lane{id: id}, fmt.Sprintf("trailers on stream %d", id))
		switch {
		case f.Type == http2.FrameData:
			body = append(body, f.Data...)
		case f.Type == http2.FrameHeaders && !f.Ends():
			a.Headers = f.Fields
		case f.Type == http2.FrameHeaders:
			a.Trailers = f.Fields
		default:
			p.fail("expected trailers on stream %d, got %s", id, describe(f, 0))
		}
		if f.Ends() {
			break
		}
	}
	for {
		m, rest, ok := cutMessage(body)
		if !ok {
			break
		}
		a.Messages, body = append(a.Messages, m), rest
	}
	if len(body) > 0 {
		p.fail("stream %d ended inside a message: %d bytes left", id, len(body))
	}
	n, err := strconv.ParseUint(a.Trailers.Get("grpc-status"), 10, 32)
	if err != nil {
		p.fail("stream %d ended without a grpc-status", id)
	}
	a.Code, a.Message = codes.Code(n), a.Trailers.Get("grpc-message")
	return a
}

// ExpectRST waits for RST_STREAM, passing over HEADERS and DATA before it. Its
// code must be one of those given.
func (p *Peer) ExpectRST(id uint32, code http2.ErrCode, or ...http2.ErrCode) {
	p.t.Helper()
	for {
		f := p.next(lane{id: id}, fmt.Sprintf("RST_STREAM %v on stream %d", code, id))
		if f.Type != http2.FrameRSTStream {
			continue
		}
		if !slices.Contains(append(or, code), f.Code) {
			p.fail("expected RST_STREAM %v on stream %d, got %v", code, id, f.Code)
		}
		return
	}
}

// ExpectEnd waits for END_STREAM, passing over what comes before it; it is
// content when an earlier expectation has taken the frame that carried it.
func (p *Peer) ExpectEnd(id uint32) {
	p.t.Helper()
	for !p.ended[id] {
		f := p.next(lane{id: id}, fmt.Sprintf("END_STREAM on stream %d", id))
		if f.Type == http2.FrameRSTStream {
			p.fail("expected END_STREAM on stream %d, got %s", id, describe(f, 0))
		}
	}
}

// ExpectNothing watches a stream for the given time and fails if any frame but
// WINDOW_UPDATE arrives on it.
func (p *Peer) ExpectNothing(id uint32, during time.Duration) {
	p.t.Helper()
	var f *Frame
	if p.in.until(during, func() bool { f = p.in.pop(lane{id: id}); return f != nil }) {
		p.fail("expected nothing on stream %d, got %s", id, describe(f, 0))
	}
}

// ExpectRequest waits for the next stream that the client under test opens.
func (p *Peer) ExpectRequest() *Inquiry {
	p.t.Helper()
	var id uint32
	ok := p.in.until(p.limit, func() bool {
		if len(p.in.opened) == 0 {
			return false
		}
		id, p.in.opened = p.in.opened[0], p.in.opened[1:]
		return true
	})
	if !ok {
		p.fail("expected a request (%v)", p.in.end())
	}
	f := p.ExpectHeaders(id)
	return &Inquiry{ID: id, Path: f.Fields.Get(":path"), Fields: f.Fields, Ends: f.Ends()}
}

func (p *Peer) ofType(id uint32, typ http2.FrameType) *Frame {
	p.t.Helper()
	f := p.next(lane{id: id}, fmt.Sprintf("%v on stream %d", typ, id))
	if f.Type != typ {
		p.fail("expected %v on stream %d, got %s", typ, id, describe(f, 0))
	}
	return f
}

// cutMessage takes one length-prefixed message off b.
func cutMessage(b []byte) (m, rest []byte, ok bool) {
	if len(b) < prefixLen {
		return nil, b, false
	}
	end := prefixLen + uint64(binary.BigEndian.Uint32(b[1:prefixLen]))
	if uint64(len(b)) < end {
		return nil, b, false
	}
	return b[prefixLen:end], b[end:], true
}

// ExpectClosedOrReset waits for any of the three ways to refuse a stream with
// violence: RST_STREAM, GOAWAY, or the end of the connection. Most violations
// have exactly one right answer and deserve the exact expectation; this is for
// peers whose answer is their own business.
func (p *Peer) ExpectClosedOrReset(id uint32) {
	p.t.Helper()
	away := lane{kind: http2.FrameGoAway}
	ok := p.in.until(p.limit, func() bool {
		reset := slices.ContainsFunc(p.in.lanes[lane{id: id}], func(f *Frame) bool {
			return f.Type == http2.FrameRSTStream
		})
		return reset || p.in.err != nil || len(p.in.lanes[away]) > 0
	})
	if !ok {
		p.fail("expected stream %d to be reset or the connection to be given up", id)
	}
}
