package testpeer

import (
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// Handshake exchanges prefaces and SETTINGS, and returns the other side's. A
// [Rude] peer sends its own and waits for nothing but theirs.
func (p *Peer) Handshake(s ...http2.Setting) []http2.Setting {
	p.t.Helper()
	if p.role == ClientRole {
		p.Preface()
	}
	p.Settings(s...)
	theirs := p.ExpectSettings().Settings
	if !p.rude {
		p.ExpectSettingsAck()
		p.settle()
	}
	return theirs
}

// ExpectPreface waits for the client preface.
func (p *Peer) ExpectPreface() {
	p.t.Helper()
	var got string
	p.in.until(p.limit, func() bool { got = string(p.in.preface); return got != "" })
	if got != http2.ClientPreface {
		p.fail("expected the client preface, got %s (%v)", clip(got), p.in.end())
	}
}

// ExpectSettings waits for the next SETTINGS.
func (p *Peer) ExpectSettings() *Frame {
	p.t.Helper()
	return p.next(lane{kind: http2.FrameSettings}, "SETTINGS")
}

// ExpectSettingsAck waits for the next SETTINGS ACK.
func (p *Peer) ExpectSettingsAck() {
	p.t.Helper()
	p.next(lane{kind: http2.FrameSettings, ack: true}, "SETTINGS ACK")
}

// ExpectPing waits for the next PING and returns its payload.
func (p *Peer) ExpectPing() [8]byte {
	p.t.Helper()
	return [8]byte(p.next(lane{kind: http2.FramePing}, "PING").Data)
}

// ExpectPingAck waits for the ACK of [Peer.Ping] with that number; ACKs of
// others before it are passed over.
func (p *Peer) ExpectPingAck(n uint64) {
	p.t.Helper()
	for {
		f := p.next(lane{kind: http2.FramePing, ack: true}, "PING ACK")
		if binary.BigEndian.Uint64(f.Data) == n {
			return
		}
	}
}

// ExpectAlive shows that the connection still works: a PING of ours is
// answered.
func (p *Peer) ExpectAlive() {
	p.t.Helper()
	const aliveMark = 0xa11fe << 40
	p.pings++
	p.Ping(aliveMark + p.pings)
	p.ExpectPingAck(aliveMark + p.pings)
}

// ExpectGoAway waits for the next GOAWAY, whose code must be one of those
// given.
func (p *Peer) ExpectGoAway(code http2.ErrCode, or ...http2.ErrCode) *Frame {
	p.t.Helper()
	f := p.next(lane{kind: http2.FrameGoAway}, "GOAWAY "+code.String())
	if !slices.Contains(append(or, code), f.Code) {
		p.fail("expected GOAWAY %v, got %s", code, describe(f, 0))
	}
	return f
}

// ExpectClosed waits until the other side has closed the connection, by FIN or
// reset. What arrived before stays where it is.
func (p *Peer) ExpectClosed(within time.Duration) {
	p.t.Helper()
	if !p.in.until(within, func() bool { return p.in.err != nil }) {
		p.fail("expected the connection to be closed within %v", within)
	}
}

// ExpectOpen watches the connection for the given time and fails if it is
// closed or a GOAWAY arrives.
func (p *Peer) ExpectOpen(during time.Duration) {
	p.t.Helper()
	away := lane{kind: http2.FrameGoAway}
	if p.in.until(during, func() bool { return p.in.err != nil || len(p.in.lanes[away]) > 0 }) {
		p.fail("expected the connection to stay open for %v (%v)", during, p.in.end())
	}
}

// ExpectCredit waits until WINDOW_UPDATE frames have granted at least n bytes
// in all, on a stream or, with id 0, on the connection. It returns the sum.
func (p *Peer) ExpectCredit(id uint32, n int64) int64 {
	p.t.Helper()
	var got int64
	if !p.in.until(p.limit, func() bool { got = p.in.credit[id]; return got >= n }) {
		p.fail("expected %d bytes of window on stream %d, got %d (%v)", n, id, got, p.in.end())
	}
	return got
}

// Credit is what WINDOW_UPDATE frames have granted so far.
func (p *Peer) Credit(id uint32) int64 {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	return p.in.credit[id]
}

// StopReading leaves what arrives in the socket from now on.
func (p *Peer) StopReading() {
	p.log.note("stop reading")
	p.in.gate.close()
}

// StartReading undoes [Peer.StopReading] and [Deaf].
func (p *Peer) StartReading() {
	p.log.note("start reading")
	p.in.gate.open()
}

// next takes the next frame of a lane.
func (p *Peer) next(k lane, what string) *Frame {
	p.t.Helper()
	var f *Frame
	if !p.in.until(p.limit, func() bool { f = p.in.pop(k); return f != nil }) {
		if err := p.in.end(); err != nil {
			p.fail("expected %s, but the connection is closed: %v", what, err)
		}
		p.fail("expected %s, nothing came within %v", what, p.limit)
	}
	if f.Ends() {
		p.ended[f.StreamID] = true
	}
	return f
}

// pop takes the first frame of a lane; the inbox is locked.
func (in *inbox) pop(k lane) *Frame {
	q := in.lanes[k]
	if len(q) == 0 {
		return nil
	}
	in.lanes[k] = q[1:]
	return q[0]
}
