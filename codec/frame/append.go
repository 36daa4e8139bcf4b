package frame

import "encoding/binary"

// Frame types of RFC 9113 section 6.
const (
	typeData         = 0x0
	typeHeaders      = 0x1
	typePriority     = 0x2
	typeRSTStream    = 0x3
	typeSettings     = 0x4
	typePushPromise  = 0x5
	typePing         = 0x6
	typeGoAway       = 0x7
	typeWindowUpdate = 0x8
	typeContinuation = 0x9
)

// Frame flags of RFC 9113 section 6. Ack and EndStream share a bit.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Fixed payload lengths, in octets.
const (
	priorityLen     = 5
	rstStreamLen    = 4
	settingLen      = 6
	pingLen         = 8
	goAwayLen       = 8 // without debug data
	windowUpdateLen = 4
)

// AppendDataHeader appends the frame header of a DATA frame whose n octets of
// payload the caller writes after it (RFC 9113 6.1).
func AppendDataHeader(dst []byte, id StreamID, n int, endStream bool) []byte {
	var flags byte
	if endStream {
		flags = flagEndStream
	}
	return appendFrameHeader(dst, n, typeData, flags, id)
}

// AppendControl appends any frame that loopy writes ahead of streams' data.
func AppendControl(dst []byte, f Control) []byte {
	switch f := f.(type) {
	case *Settings:
		return AppendSettings(dst, f)
	case *Ping:
		return AppendPing(dst, f)
	case *GoAway:
		return AppendGoAway(dst, f)
	case *WindowUpdate:
		return AppendWindowUpdate(dst, f.StreamID, f.Increment)
	case *RSTStream:
		return AppendRSTStream(dst, f.StreamID, f.Code)
	}
	panic("frame: a control frame that has no wire form")
}

// AppendSettings appends SETTINGS (RFC 9113 6.5). An Ack carries no values.
func AppendSettings(dst []byte, s *Settings) []byte {
	if s.Ack {
		return AppendSettingsAck(dst)
	}
	dst = appendFrameHeader(dst, settingLen*len(s.Values), typeSettings, 0, 0)
	for _, v := range s.Values {
		dst = binary.BigEndian.AppendUint16(dst, uint16(v.ID))
		dst = binary.BigEndian.AppendUint32(dst, v.Val)
	}
	return dst
}

// AppendSettingsAck appends the acknowledgement of a SETTINGS (RFC 9113 6.5.3).
func AppendSettingsAck(dst []byte) []byte {
	return appendFrameHeader(dst, 0, typeSettings, flagAck, 0)
}

// AppendPing appends PING (RFC 9113 6.7).
func AppendPing(dst []byte, p *Ping) []byte {
	var flags byte
	if p.Ack {
		flags = flagAck
	}
	dst = appendFrameHeader(dst, pingLen, typePing, flags, 0)
	return append(dst, p.Data[:]...)
}

// AppendGoAway appends GOAWAY with at most MaxDebugData octets of debug data
// (RFC 9113 6.8).
func AppendGoAway(dst []byte, g *GoAway) []byte {
	debug := g.Debug[:min(len(g.Debug), MaxDebugData)]
	dst = appendFrameHeader(dst, goAwayLen+len(debug), typeGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(g.LastStreamID&MaxStreamID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(g.Code))
	return append(dst, debug...)
}

// AppendWindowUpdate appends WINDOW_UPDATE; id 0 is the connection (RFC 9113
// 6.9).
func AppendWindowUpdate(dst []byte, id StreamID, increment uint32) []byte {
	dst = appendFrameHeader(dst, windowUpdateLen, typeWindowUpdate, 0, id)
	return binary.BigEndian.AppendUint32(dst, increment)
}

// AppendRSTStream appends RST_STREAM (RFC 9113 6.4).
func AppendRSTStream(dst []byte, id StreamID, code ErrCode) []byte {
	dst = appendFrameHeader(dst, rstStreamLen, typeRSTStream, 0, id)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendFrameHeader(dst []byte, n int, typ, flags byte, id StreamID) []byte {
	return append(dst,
		byte(n>>16), byte(n>>8), byte(n), typ, flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// putFrameHeader is appendFrameHeader into room left for it.
func putFrameHeader(dst []byte, n int, typ, flags byte, id StreamID) {
	_ = appendFrameHeader(dst[:0], n, typ, flags, id)
}
