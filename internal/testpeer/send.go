package testpeer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// Preface sends the client connection preface.
func (p *Peer) Preface() {
	p.t.Helper()
	p.send("preface", func() { p.frames.WriteString(http2.ClientPreface) })
}

// Settings sends a SETTINGS frame.
func (p *Peer) Settings(s ...http2.Setting) {
	p.t.Helper()
	p.send(fmt.Sprintf("SETTINGS %v", s), func() {
		_ = p.out.WriteSettings(s...)
		if !p.greeted {
			p.greeted = true
			p.holdAcks(false)
		}
	})
}

// SettingsAck acknowledges a SETTINGS frame; a peer that is not [Rude] does so
// by itself.
func (p *Peer) SettingsAck() {
	p.t.Helper()
	p.send("SETTINGS ACK", func() { _ = p.out.WriteSettingsAck() })
}

// Headers sends a header block in one HEADERS frame with END_HEADERS.
func (p *Peer) Headers(id uint32, fields ...hpack.HeaderField) {
	p.t.Helper()
	p.headers(id, fields, false)
}

// HeadersEnd sends a header block that ends the peer's half of the stream.
func (p *Peer) HeadersEnd(id uint32, fields ...hpack.HeaderField) {
	p.t.Helper()
	p.headers(id, fields, true)
}

func (p *Peer) headers(id uint32, fields Fields, end bool) {
	p.t.Helper()
	text := fmt.Sprintf("HEADERS stream=%d%s %s", id, endText(end), fieldText(fields))
	p.send(text, func() {
		p.block.Reset()
		for _, f := range fields {
			_ = p.hp.WriteField(f)
		}
		_ = p.out.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: p.block.Bytes(), EndStream: end, EndHeaders: true,
		})
	})
}

// Trailers sends gRPC trailers and ends the stream.
func (p *Peer) Trailers(id uint32, c codes.Code, msg string) {
	p.t.Helper()
	p.HeadersEnd(id, Status(c, msg)...)
}

// Data sends one DATA frame, whatever the flow-control windows say.
func (p *Peer) Data(id uint32, payload []byte) {
	p.t.Helper()
	p.data(id, payload, false)
}

// DataEnd sends one DATA frame with END_STREAM.
func (p *Peer) DataEnd(id uint32, payload []byte) {
	p.t.Helper()
	p.data(id, payload, true)
}

func (p *Peer) data(id uint32, payload []byte, end bool) {
	p.t.Helper()
	text := fmt.Sprintf("DATA stream=%d len=%d%s %s", id, len(payload), endText(end), clip(string(payload)))
	p.send(text, func() { _ = p.out.WriteData(id, end, payload) })
}

// DataPadded sends a DATA frame with pad bytes of padding, at most 255.
func (p *Peer) DataPadded(id uint32, payload []byte, pad int, end bool) {
	p.t.Helper()
	text := fmt.Sprintf("DATA stream=%d len=%d pad=%d%s", id, len(payload), pad, endText(end))
	p.send(text, func() { _ = p.out.WriteDataPadded(id, end, payload, make([]byte, pad)) })
}

// RST sends RST_STREAM.
func (p *Peer) RST(id uint32, code http2.ErrCode) {
	p.t.Helper()
	p.send(fmt.Sprintf("RST_STREAM stream=%d %v", id, code), func() { _ = p.out.WriteRSTStream(id, code) })
}

// WindowUpdate grants n bytes on a stream, or on the connection when id is 0.
func (p *Peer) WindowUpdate(id, n uint32) {
	p.t.Helper()
	p.send(fmt.Sprintf("WINDOW_UPDATE stream=%d +%d", id, n), func() { _ = p.out.WriteWindowUpdate(id, n) })
}

// Ping sends a PING with the number in its payload.
func (p *Peer) Ping(n uint64) {
	p.t.Helper()
	p.send("PING", func() { _ = p.out.WritePing(false, pingData(n)) })
}

// PingAck acknowledges a PING; a peer that is not [Rude] does so by itself.
func (p *Peer) PingAck(data [8]byte) {
	p.t.Helper()
	p.send("PING ACK", func() { _ = p.out.WritePing(true, data) })
}

// GoAway sends GOAWAY.
func (p *Peer) GoAway(last uint32, code http2.ErrCode, debug string) {
	p.t.Helper()
	text := fmt.Sprintf("GOAWAY last=%d %v %s", last, code, clip(debug))
	p.send(text, func() { _ = p.out.WriteGoAway(last, code, []byte(debug)) })
}

// Priority sends PRIORITY.
func (p *Peer) Priority(id uint32, pp http2.PriorityParam) {
	p.t.Helper()
	p.send(fmt.Sprintf("PRIORITY stream=%d on %d", id, pp.StreamDep), func() { _ = p.out.WritePriority(id, pp) })
}

// Batch gathers what f sends into one write: a flood, or two frames that must
// arrive together.
func (p *Peer) Batch(f func()) {
	p.t.Helper()
	p.wmu.Lock()
	p.batching = true
	p.wmu.Unlock()
	f()
	p.wmu.Lock()
	p.batching = false
	err := p.flush(p.limit)
	p.wmu.Unlock()
	p.check(err)
}

// send notes a frame, builds it with f and writes it.
func (p *Peer) send(text string, f func()) {
	p.t.Helper()
	p.log.note("-> %s", text)
	p.wmu.Lock()
	f()
	err := p.flush(p.limit)
	p.wmu.Unlock()
	p.check(err)
}

// flush writes what is gathered; wmu is held.
func (p *Peer) flush(limit time.Duration) error {
	if p.batching || p.frames.Len() == 0 {
		return nil
	}
	defer p.frames.Reset()
	_ = p.nc.SetWriteDeadline(time.Now().Add(limit))
	_, err := p.nc.Write(p.frames.Bytes())
	return err
}

// check fails the script when the other side stopped reading; that it closed
// the connection is for the next expectation to judge.
func (p *Peer) check(err error) {
	p.t.Helper()
	if err == nil {
		return
	}
	p.log.note("-> write: %v", err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.fail("the other side does not read: a write stalled for %v", p.limit)
	}
}

// acknowledge owes an ACK for SETTINGS and PING, unless the peer has no
// manners. It runs on the reader, which must never wait for a write: over a
// net.Pipe the other side may be waiting for this reader.
func (p *Peer) acknowledge(f *Frame) {
	if p.rude || f.Flags.Has(http2.FlagPingAck) {
		return
	}
	var answer func()
	switch f.Type {
	case http2.FrameSettings:
		answer = func() { _ = p.out.WriteSettingsAck() }
	case http2.FramePing:
		answer = func() { _ = p.out.WritePing(true, [8]byte(f.Data)) }
	default:
		return
	}
	p.wmu.Lock()
	p.owed = append(p.owed, answer)
	p.wmu.Unlock()
	select {
	case p.in.owed <- struct{}{}:
	default:
	}
}

// settle writes the ACKs that are owed: on a goroutine of its own, and where
// the script must know that they are out.
func (p *Peer) settle() {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.holdAcks(p.hold)
	_ = p.flush(p.limit)
}

// holdAcks says whether ACKs are to be kept back, and gathers those owed when
// they are not. wmu is held.
func (p *Peer) holdAcks(on bool) {
	p.hold = on
	if on {
		return
	}
	for _, answer := range p.owed {
		p.log.note("-> ACK")
		answer()
	}
	p.owed = p.owed[:0]
}

func pingData(n uint64) (d [8]byte) {
	binary.BigEndian.PutUint64(d[:], n)
	return d
}

func endText(end bool) string {
	if end {
		return " END_STREAM"
	}
	return ""
}

func fieldText(fields Fields) string {
	const most = 8
	var b strings.Builder
	for i, f := range fields {
		if i == most {
			fmt.Fprintf(&b, "... (%d fields)", len(fields))
			break
		}
		fmt.Fprintf(&b, "%s=%s ", f.Name, clip(f.Value))
	}
	return strings.TrimSpace(b.String())
}

// describe is one received frame as text.
func describe(f *Frame, grant int64) string {
	switch f.Type {
	case http2.FrameHeaders:
		return fmt.Sprintf("HEADERS stream=%d%s %s", f.StreamID, endText(f.Ends()), fieldText(f.Fields))
	case http2.FrameData:
		return fmt.Sprintf("DATA stream=%d len=%d%s %s", f.StreamID, len(f.Data), endText(f.Ends()), clip(string(f.Data)))
	case http2.FrameSettings, http2.FramePing:
		ack := ""
		if f.Flags.Has(http2.FlagPingAck) {
			ack = " ACK"
		}
		if len(f.Settings) > 0 {
			return fmt.Sprintf("%v%s %v", f.Type, ack, f.Settings)
		}
		return fmt.Sprintf("%v%s", f.Type, ack)
	case http2.FrameGoAway:
		return fmt.Sprintf("GOAWAY last=%d %v %s", f.Last, f.Code, clip(string(f.Data)))
	case http2.FrameRSTStream:
		return fmt.Sprintf("RST_STREAM stream=%d %v", f.StreamID, f.Code)
	case http2.FrameWindowUpdate:
		return fmt.Sprintf("WINDOW_UPDATE stream=%d +%d", f.StreamID, grant)
	default:
		return fmt.Sprintf("%v stream=%d flags=%#x len=%d", f.Type, f.StreamID, uint8(f.Flags), len(f.Data))
	}
}
