package frame

import "encoding/binary"

// promiseLen is the promised stream's identifier in a PUSH_PROMISE.
const promiseLen = 4

// tinyFragment is the size below which a CONTINUATION that does not end its
// block counts as a glitch.
const tinyFragment = 16

// headerBlock is the block that is being received.
type headerBlock struct {
	open          bool
	id            StreamID
	h             *Headers
	promise       bool // of a PUSH_PROMISE: decoded to keep the table in step, then dropped
	continuations int
	octets        int // on the wire, padding included
}

// free drops a block that will not be completed.
func (b *headerBlock) free() {
	if b.h != nil {
		b.h.Free()
	}
	*b = headerBlock{}
}

// unpad cuts the padding's length and the padding off a payload. keep is how
// many octets before the fragment padding must not reach into.
func (r *Reader) unpad(p []byte, keep int) ([]byte, error) {
	if r.fh.Flags&flagPadded == 0 {
		return p, nil
	}
	pad := int(p[0])
	p = p[1:]
	if pad > len(p)-keep {
		return nil, violation(ProtocolError, clauses[r.fh.Type], "%s of %d octets with %d octets of padding",
			typeName(uint8(r.fh.Type)), r.fh.Length, pad)
	}
	return p[:len(p)-pad], nil
}

// headers takes the payload of HEADERS (RFC 9113 6.2).
func (r *Reader) headers(p []byte) error {
	priority := r.fh.Flags&flagPriority != 0
	keep := 0
	if priority {
		keep = priorityLen
	}
	p, err := r.unpad(p, keep)
	if err != nil {
		return err
	}
	h := NewHeaders()
	h.StreamID = StreamID(r.fh.StreamID)
	h.EndStream = r.fh.Flags&flagEndStream != 0
	h.WireLen = int(r.fh.Length)
	if priority {
		if on := StreamID(binary.BigEndian.Uint32(p)) & MaxStreamID; on == h.StreamID {
			h.Fault = dependsOnItself(h.StreamID)
		}
		p = p[priorityLen:]
	}
	return r.beginBlock(h, p, false)
}

// pushPromise takes the payload of PUSH_PROMISE (RFC 9113 6.6).
func (r *Reader) pushPromise(p []byte) error {
	p, err := r.unpad(p, promiseLen)
	if err != nil {
		return err
	}
	h := NewHeaders()
	h.StreamID = StreamID(r.fh.StreamID)
	return r.beginBlock(h, p[promiseLen:], true)
}

func (r *Reader) beginBlock(h *Headers, p []byte, promise bool) error {
	r.block.open = true
	r.block.id = h.StreamID
	r.block.h = h
	r.block.promise = promise
	r.dec.begin(h)
	return r.fragment(p, true)
}

// continuation takes the payload of CONTINUATION (RFC 9113 6.10).
func (r *Reader) continuation(p []byte) error {
	r.block.continuations++
	switch last := r.fh.Flags&flagEndHeaders != 0; {
	case r.block.continuations > r.cfg.MaxContinuations:
		return tooMuch("a header block with more than %d CONTINUATION frames", r.cfg.MaxContinuations)
	case len(p) == 0:
		r.emit(&Glitch{StreamID: r.block.id, What: "empty CONTINUATION"})
	case len(p) < tinyFragment && !last:
		r.emit(&Glitch{StreamID: r.block.id, What: "tiny CONTINUATION"})
	}
	return r.fragment(p, false)
}

// fragment decodes one fragment; first says that the block begins with it.
func (r *Reader) fragment(p []byte, first bool) error {
	last := r.fh.Flags&flagEndHeaders != 0
	if err := r.dec.write(p, first, first && last); err != nil {
		r.block.free()
		return err
	}
	if !last {
		return nil
	}
	if err := r.dec.end(); err != nil {
		r.block.free()
		return err
	}
	r.endBlock()
	return nil
}

// endBlock hands a complete block over.
func (r *Reader) endBlock() {
	h, promise := r.block.h, r.block.promise
	r.block = headerBlock{}
	if r.waiting.Load() != 0 {
		r.waiting.Store(0)
	}
	switch {
	case promise:
		r.emit(&PushPromise{StreamID: h.StreamID})
		h.Free()
		return
	case h.EndStream:
		r.endMessages(h.StreamID)
	default:
		r.asm.open(h.StreamID)
	}
	if h.TooLarge && h.Fault == nil {
		h.Fault = malformed(h.StreamID, EnhanceYourCalm, "", "the header list is larger than allowed")
	}
	r.emit(h)
}
