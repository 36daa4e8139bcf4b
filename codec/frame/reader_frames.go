package frame

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// frameHeader reads a frame header and judges what it says by itself.
func (r *Reader) frameHeader() error {
	p := r.in.unread()
	r.in.skip(HeaderLen)
	fh := http2.FrameHeader{
		Length:   uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2]),
		Type:     http2.FrameType(p[3]),
		Flags:    http2.Flags(p[4]),
		StreamID: binary.BigEndian.Uint32(p[5:]) & uint32(MaxStreamID),
	}
	if fh.Length > r.cfg.MaxFrameSize {
		return violation(FrameSizeError, "RFC 9113 4.2", "%s of %d octets, the limit is %d",
			typeName(uint8(fh.Type)), fh.Length, r.cfg.MaxFrameSize)
	}
	if err := r.checkOrder(fh); err != nil {
		return err
	}
	if err := checkStream(fh); err != nil {
		return err
	}
	if err := r.checkLength(fh); err != nil {
		return err
	}
	id, n := StreamID(fh.StreamID), int(fh.Length)
	switch {
	case fh.Type > typeContinuation:
		r.emit(&Unknown{StreamID: id, Type: uint8(fh.Type)})
		r.discard = n
	case fh.Type == typePriority && n != priorityLen:
		r.emit(&Malformed{malformed(id, FrameSizeError, "RFC 9113 6.3", "PRIORITY of the wrong length")})
		r.discard = n
	default:
		r.fh, r.pending = fh, true
		if fh.Type == typeHeaders || fh.Type == typePushPromise {
			r.blockSeq++
		}
	}
	return nil
}

// checkOrder sees to it that nothing comes between the frames of one header
// block.
func (r *Reader) checkOrder(fh http2.FrameHeader) error {
	id := StreamID(fh.StreamID)
	switch {
	case r.block.open && fh.Type != typeContinuation:
		return violation(ProtocolError, "RFC 9113 6.10", "%s inside the header block of stream %d",
			typeName(uint8(fh.Type)), r.block.id)
	case r.block.open && id != r.block.id:
		return violation(ProtocolError, "RFC 9113 6.10", "CONTINUATION of stream %d inside the header block of stream %d",
			id, r.block.id)
	case !r.block.open && fh.Type == typeContinuation:
		return violation(ProtocolError, "RFC 9113 6.10", "CONTINUATION of stream %d without a header block", id)
	}
	return nil
}

// clauses says where each frame type is defined.
var clauses = [...]string{
	"RFC 9113 6.1", "RFC 9113 6.2", "RFC 9113 6.3", "RFC 9113 6.4", "RFC 9113 6.5",
	"RFC 9113 6.6", "RFC 9113 6.7", "RFC 9113 6.8", "RFC 9113 6.9", "RFC 9113 6.10",
}

// checkStream judges whether a frame belongs to a stream or the connection.
func checkStream(fh http2.FrameHeader) error {
	switch fh.Type {
	case typeData, typeHeaders, typePriority, typeRSTStream, typePushPromise:
		if fh.StreamID == 0 {
			return violation(ProtocolError, clauses[fh.Type], "%s on stream 0", typeName(uint8(fh.Type)))
		}
	case typeSettings, typePing, typeGoAway:
		if fh.StreamID != 0 {
			return violation(ProtocolError, clauses[fh.Type], "%s on stream %d", typeName(uint8(fh.Type)), fh.StreamID)
		}
	}
	return nil
}

// checkLength judges the length of a payload before any of it is read.
func (r *Reader) checkLength(fh http2.FrameHeader) error {
	n := int(fh.Length)
	ok := true
	switch fh.Type {
	case typeData:
		ok = n >= prologue(fh)
	case typeHeaders, typePushPromise, typeContinuation:
		if r.block.octets += n; r.block.octets > 2*r.cfg.MaxHeaderList+maxPrologue {
			return tooMuch("a header block of at least %d octets", r.block.octets)
		}
		ok = n >= prologue(fh)
	case typeRSTStream:
		ok = n == rstStreamLen
	case typeSettings:
		if fh.Flags&flagAck != 0 {
			ok = n == 0
			break
		}
		if ok = n%settingLen == 0; ok && n/settingLen > r.cfg.MaxSettings {
			return tooMuch("SETTINGS with %d entries, the limit is %d", n/settingLen, r.cfg.MaxSettings)
		}
	case typePing:
		ok = n == pingLen
	case typeGoAway:
		ok = n >= goAwayLen
	case typeWindowUpdate:
		ok = n == windowUpdateLen
	}
	if !ok {
		return violation(FrameSizeError, clauses[fh.Type], "%s of %d octets", typeName(uint8(fh.Type)), n)
	}
	return nil
}

// maxPrologue is what a payload can hold besides DATA or a fragment: the
// length of the padding, the padding, priority or the promised stream.
const maxPrologue = 1 + 255 + priorityLen

// prologue is how many octets come before DATA or a fragment.
func prologue(fh http2.FrameHeader) (n int) {
	if fh.Type == typePushPromise {
		n = promiseLen
	}
	if fh.Type == typeContinuation {
		return 0
	}
	if fh.Flags&flagPadded != 0 {
		n++
	}
	if fh.Type == typeHeaders && fh.Flags&flagPriority != 0 {
		n += priorityLen
	}
	return n
}

// payloadWanted is how much of the pending frame's payload must be buffered
// before it is looked at.
func (r *Reader) payloadWanted() int {
	n := int(r.fh.Length)
	switch r.fh.Type {
	case typeData:
		return prologue(r.fh)
	case typeGoAway:
		return min(n, goAwayLen+MaxDebugData)
	}
	return n
}

// payload takes the pending frame; p is its payload as far as it was wanted.
func (r *Reader) payload(p []byte) error {
	r.in.skip(len(p)) // p stays valid until the next fill
	id := StreamID(r.fh.StreamID)
	switch r.fh.Type {
	case typeData:
		return r.beginData(p)
	case typeHeaders:
		return r.headers(p)
	case typePriority:
		r.priority(id, p)
	case typeRSTStream:
		r.dropAssembly(id)
		r.emit(NewRSTStream(id, ErrCode(binary.BigEndian.Uint32(p))))
	case typeSettings:
		r.settings(p)
	case typePushPromise:
		return r.pushPromise(p)
	case typePing:
		r.emit(&Ping{Ack: r.fh.Flags&flagAck != 0, Data: [pingLen]byte(p)})
	case typeGoAway:
		r.emit(&GoAway{
			LastStreamID: StreamID(binary.BigEndian.Uint32(p)) & MaxStreamID,
			Code:         ErrCode(binary.BigEndian.Uint32(p[4:])),
			Debug:        append([]byte(nil), p[goAwayLen:]...),
		})
		r.discard = int(r.fh.Length) - len(p)
	case typeWindowUpdate:
		return r.windowUpdate(id, binary.BigEndian.Uint32(p)&MaxWindow)
	case typeContinuation:
		return r.continuation(p)
	}
	return nil
}

func (r *Reader) settings(p []byte) {
	s := &Settings{Ack: r.fh.Flags&flagAck != 0}
	if len(p) > 0 {
		s.Values = make([]Setting, 0, len(p)/settingLen)
	}
	for ; len(p) > 0; p = p[settingLen:] {
		s.Values = append(s.Values, Setting{
			ID:  SettingID(binary.BigEndian.Uint16(p)),
			Val: binary.BigEndian.Uint32(p[2:]),
		})
	}
	r.emit(s)
}

func (r *Reader) priority(id StreamID, p []byte) {
	on := StreamID(binary.BigEndian.Uint32(p)) & MaxStreamID
	if on == id {
		r.emit(&Malformed{dependsOnItself(id)})
		return
	}
	r.emit(&Priority{StreamID: id, DependsOn: on})
}

// dependsOnItself judges by the older RFC: 9113 took priorities out of use,
// but peers and test suites that speak 7540 expect the reset.
func dependsOnItself(id StreamID) *StreamError {
	return malformed(id, ProtocolError, "RFC 7540 5.3.1", "the stream depends on itself")
}

func (r *Reader) windowUpdate(id StreamID, n uint32) error {
	switch {
	case n > 0:
		r.emit(NewWindowUpdate(id, NoSlot, n))
	case id == 0:
		return violation(ProtocolError, "RFC 9113 6.9", "WINDOW_UPDATE of 0 for the connection")
	default:
		r.emit(&Malformed{malformed(id, ProtocolError, "RFC 9113 6.9", "WINDOW_UPDATE of 0")})
	}
	return nil
}
