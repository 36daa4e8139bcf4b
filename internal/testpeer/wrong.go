package testpeer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Raw sends bytes as they are. From then on the peer acknowledges nothing by
// itself, because it cannot know where a frame ends; [Peer.Resume] ends that.
func (p *Peer) Raw(b []byte) {
	p.t.Helper()
	p.send(fmt.Sprintf("raw len=%d %s", len(b), clip(string(b))), func() {
		p.holdAcks(true)
		p.frames.Write(b)
	})
}

// Resume says that the bytes sent by [Peer.Raw] have come to the end of a
// frame: ACKs held back are sent.
func (p *Peer) Resume() {
	p.t.Helper()
	p.send("resume", func() { p.holdAcks(false) })
}

// Frame sends one frame of any type, flags, stream and payload.
func (p *Peer) Frame(typ http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	p.t.Helper()
	text := fmt.Sprintf("%v flags=%#x stream=%d len=%d %s", typ, uint8(flags), id, len(payload), clip(string(payload)))
	p.send(text, func() {
		_ = p.out.WriteRawFrame(typ, flags, id, payload)
		if typ == http2.FrameHeaders || typ == http2.FrameContinuation {
			p.holdAcks(!p.greeted || !flags.Has(http2.FlagHeadersEndHeaders))
		}
	})
}

// FrameHeader is the nine bytes before a payload, with whatever length the test
// claims; send it with [Peer.Raw]. The reserved bit of id is sent as given.
func FrameHeader(length uint32, typ http2.FrameType, flags http2.Flags, id uint32) []byte {
	b := []byte{byte(length >> 16), byte(length >> 8), byte(length), byte(typ), byte(flags)}
	return binary.BigEndian.AppendUint32(b, id)
}

// OpenHeaders sends a fragment of a header block without END_HEADERS.
func (p *Peer) OpenHeaders(id uint32, fragment []byte, end bool) {
	p.t.Helper()
	var flags http2.Flags
	if end {
		flags = http2.FlagHeadersEndStream
	}
	p.Frame(http2.FrameHeaders, flags, id, fragment)
}

// Continuation sends a CONTINUATION frame, with or without END_HEADERS.
func (p *Peer) Continuation(id uint32, fragment []byte, last bool) {
	p.t.Helper()
	var flags http2.Flags
	if last {
		flags = http2.FlagContinuationEndHeaders
	}
	p.Frame(http2.FrameContinuation, flags, id, fragment)
}

// Block sends a whole header block that the test encoded, or garbled, itself.
func (p *Peer) Block(id uint32, block []byte, end bool) {
	p.t.Helper()
	flags := http2.FlagHeadersEndHeaders
	if end {
		flags |= http2.FlagHeadersEndStream
	}
	p.Frame(http2.FrameHeaders, flags, id, block)
}

// Flood calls f for i = 0..n-1 and sends what it writes in large pieces until
// all is sent, the other side has closed the connection, or it has stopped
// reading for the peer's patience, which is not a failure here. It returns how
// many calls were made.
func (p *Peer) Flood(n int, f func(i int)) int {
	p.t.Helper()
	const piece = 256
	for sent := 0; sent < n; {
		p.wmu.Lock()
		p.batching = true
		p.wmu.Unlock()
		upTo := min(sent+piece, n)
		for ; sent < upTo; sent++ {
			f(sent)
		}
		p.wmu.Lock()
		p.batching = false
		err := p.flush(p.limit)
		p.wmu.Unlock()
		if err != nil {
			p.log.note("-> flood ended: %v", err)
			return sent
		}
	}
	return n
}

// Push writes bytes until all are sent or the other side has read nothing for
// the given time. It returns how many the socket took and whether it stalled.
// As after [Peer.Raw], nothing is acknowledged from here on.
func (p *Peer) Push(b []byte, within time.Duration) (n int, stalled bool) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.holdAcks(true)
	const piece = 16 << 10
	for n < len(b) {
		_ = p.nc.SetWriteDeadline(time.Now().Add(within))
		m, err := p.nc.Write(b[n:min(n+piece, len(b))])
		n += m
		if err != nil {
			p.log.note("-> pushed %d bytes: %v", n, err)
			return n, errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
	p.log.note("-> pushed %d bytes", n)
	return n, false
}

// Literal encodes fields without the dynamic table and without Huffman codes,
// so that the bytes are the same in any place of any connection.
func Literal(fields ...hpack.HeaderField) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, 0x00)
		b = appendString(b, f.Name)
		b = appendString(b, f.Value)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	const prefix = 7
	b = appendInteger(b, 0x00, prefix, uint64(len(s)))
	return append(b, s...)
}

// appendInteger writes an HPACK integer (RFC 7541 5.1).
func appendInteger(b []byte, top byte, prefix uint, v uint64) []byte {
	most := uint64(1)<<prefix - 1
	if v < most {
		return append(b, top|byte(v))
	}
	b = append(b, top|byte(most))
	for v -= most; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// Header blocks that no decoder may accept (RFC 7541 5.2, 6.1, 6.3, 5.1) or
// that make one work hard.

// HuffmanGarbage is a literal whose Huffman string ends in more than seven
// bits of padding.
func HuffmanGarbage() []byte { return []byte{0x00, 0x81, 0xff, 0x84, 0xff, 0xff, 0xff, 0xff} }

// UnknownIndex is a reference past the end of both tables.
func UnknownIndex() []byte { return appendInteger(nil, 0x80, 7, 4000) }

// TableTooLarge is a dynamic table size update past what anyone allows.
func TableTooLarge() []byte { return appendInteger(nil, 0x20, 5, 1<<30) }

// TruncatedField is a literal whose value ends before its length.
func TruncatedField() []byte { return []byte{0x00, 0x01, 'a', 0x7f, 0x10, 'b'} }

// EndlessInteger is an integer of more bytes than any value needs.
func EndlessInteger() []byte { return append([]byte{0xff}, bytes.Repeat([]byte{0xff}, 64)...) }

// HeaderBomb is a block of a few bytes per field that decodes to count times
// size: one large entry of the dynamic table, referred to again and again. The
// size must fit the table, 4096 bytes unless announced otherwise.
func HeaderBomb(size, count int) []byte {
	b := []byte{0x40}
	b = appendString(b, "x-bomb")
	b = appendString(b, strings.Repeat("b", size))
	newest := byte(0x80 | 62)
	return append(b, bytes.Repeat([]byte{newest}, count)...)
}
