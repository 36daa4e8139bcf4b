package frame

import (
	"github.com/callboard-rpc/callboard/codec/buffer"
)

// directMin is how many octets must be missing for the Source to be read
// straight into the message; below it, one read that brings the next frames
// along is cheaper than two.
const directMin = 4 << 10

// dataFrame is the DATA whose payload is being read.
type dataFrame struct {
	active bool
	end    bool // END_STREAM
	id     StreamID
	size   int       // flow-controlled octets not reported yet
	left   int       // octets of payload to come
	pad    int       // octets of padding behind them
	asm    *assembly // nil: the octets only count
}

// beginData takes the frame header of DATA (RFC 9113 6.1); p is the length of
// the padding, if there is any.
func (r *Reader) beginData(p []byte) error {
	d := &r.data
	n := int(r.fh.Length)
	*d = dataFrame{
		active: true,
		end:    r.fh.Flags&flagEndStream != 0,
		id:     StreamID(r.fh.StreamID),
		size:   n,
		left:   n - len(p),
	}
	if len(p) > 0 {
		if d.pad = int(p[0]); d.pad > d.left {
			return violation(ProtocolError, clauses[typeData], "DATA of %d octets with %d octets of padding", n, d.pad)
		}
		d.left -= d.pad
	}
	if d.left == 0 && !d.end {
		r.emit(&Glitch{StreamID: d.id, What: "empty DATA"})
	}
	d.asm = r.asm.find(d.id)
	return nil
}

// readData goes on with the payload by one step: a message completed, or as
// much taken as is buffered. It reports false when it needs more octets.
func (r *Reader) readData() bool {
	d := &r.data
	a := d.asm
	switch {
	case a == nil:
		r.endData(nil)
		return true
	case a.msg != nil && a.have == a.size:
		r.complete()
		return true
	case d.left == 0:
		r.endData(r.truncated(a))
		return true
	}
	p := r.in.unread()
	p = p[:min(len(p), d.left)]
	if len(p) == 0 {
		return false
	}
	if a.msg == nil {
		n := copy(a.prefix[a.got:], p)
		a.got += n
		r.took(n)
		if a.got == prefixLen {
			if f := r.beginMessage(a); f != nil {
				r.endData(f)
			}
		}
		return true
	}
	if a.have == len(a.msg.B) {
		if f := r.grow(a); f != nil {
			r.endData(f)
			return true
		}
	}
	n := copy(a.msg.B[a.have:], p)
	a.have += n
	r.took(n)
	return true
}

// took counts n octets of payload as consumed from the buffer.
func (r *Reader) took(n int) {
	r.in.skip(n)
	r.data.left -= n
}

// beginMessage judges a complete prefix and makes room for the message.
func (r *Reader) beginMessage(a *assembly) *Fault {
	if flag := a.prefix[0]; flag > 1 {
		return &Fault{Kind: BadFlag, Got: uint64(flag), Limit: 1}
	}
	size := uint64(a.length())
	if limit := r.limit(r.data.id, size); size > limit {
		return &Fault{Kind: TooLarge, Got: size, Limit: limit}
	}
	a.size, a.have = int(size), 0
	n := a.size
	if n > min(r.data.left, r.in.buffered()) {
		n = min(n, r.cfg.FirstPart)
		if !r.room.Announce(n) {
			n = min(n, tightStart)
			if !r.room.Extend(n, 0) {
				return &Fault{Kind: NoBudget, Got: size}
			}
		}
		a.charged = n
	}
	a.msg = buffer.Get(n)
	return nil
}

// tightStart is the memory a message gets when the budget does not allow for
// its first part at once: from there on it has to arrive to get more.
const tightStart = 32 << 10

// grow makes room for more of a message: for all of it once its first part has
// arrived and the stream's window was grown for the rest, otherwise for twice
// as much.
func (r *Reader) grow(a *assembly) *Fault {
	have := len(a.msg.B)
	n := a.size
	if have >= r.cfg.FirstPart && r.room.Cover(n-have) {
		a.covered += n - have
	} else {
		n = min(n, 2*have)
		if have < r.cfg.FirstPart {
			n = min(n, r.cfg.FirstPart)
		}
		if !r.room.Extend(n-have, a.charged) {
			return &Fault{Kind: NoBudget, Got: uint64(a.size)}
		}
		a.charged += n - have
	}
	bigger := buffer.Get(n)
	copy(bigger.B, a.msg.B)
	a.msg.Release()
	a.msg = bigger
	return nil
}

// limit is what a message of the stream may measure, given that one of size
// octets is announced.
func (r *Reader) limit(id StreamID, size uint64) uint64 {
	limit := r.cfg.MaxMessage
	if size > uint64(limit) && r.ask != nil {
		limit = max(limit, r.ask(id))
	}
	return uint64(limit)
}

// complete hands a message over. If it is the last of its frame, it carries
// END_STREAM, too.
func (r *Reader) complete() {
	d := &r.data
	a := d.asm
	ev := r.lastData(d.id)
	if ev == nil || ev.Message != nil {
		ev = r.newData(d.id)
	}
	ev.Size += d.size
	ev.Message = a.msg
	ev.Compressed = a.prefix[0] == 1
	ev.Pending = 0
	d.size = 0
	r.release(a)
	a.msg, a.size, a.have, a.got = nil, 0, 0, 0
	if d.left == 0 {
		ev.EndStream = d.end
		r.closeData()
	}
}

// endData reports what the frame brought besides complete messages. A fault
// ends the reading of the stream.
func (r *Reader) endData(f *Fault) {
	d := &r.data
	ev := r.lastData(d.id)
	if ev == nil || f != nil {
		ev = r.newData(d.id)
	}
	ev.Size += d.size
	ev.EndStream = d.end
	ev.Fault = f
	ev.Pending = 0
	if d.asm != nil && f == nil {
		ev.Pending = d.asm.missing()
	}
	if f != nil {
		r.dropAssembly(d.id)
	}
	r.closeData()
}

// closeData leaves the frame; what is left of it is skipped.
func (r *Reader) closeData() {
	d := &r.data
	r.discard = d.left + d.pad
	if d.end {
		r.dropAssembly(d.id)
	}
	*d = dataFrame{}
}

// truncated is the fault of a stream that ends inside a message.
func (r *Reader) truncated(a *assembly) *Fault {
	if !r.data.end || a.missing() == 0 {
		return nil
	}
	return &Fault{Kind: Truncated, Got: uint64(a.missing())}
}

// endMessages reports a message cut off by a header block with END_STREAM and
// forgets the stream.
func (r *Reader) endMessages(id StreamID) {
	a := r.asm.find(id)
	if a == nil {
		return
	}
	if n := a.missing(); n > 0 {
		r.newData(id).Fault = &Fault{Kind: Truncated, Got: uint64(n)}
	}
	r.dropAssembly(id)
}

func (r *Reader) newData(id StreamID) *Data {
	ev := NewData()
	ev.StreamID = id
	r.emit(ev)
	return ev
}

// lastData is the frame just before in the batch, if it is DATA of the same
// stream that can take more in.
func (r *Reader) lastData(id StreamID) *Data {
	n := len(r.out.Frames)
	if n == r.base {
		return nil
	}
	ev, ok := r.out.Frames[n-1].(*Data)
	if !ok || ev.StreamID != id || ev.EndStream || ev.Fault != nil {
		return nil
	}
	return ev
}

// directRoom is the part of a message that the Source can be read into, nil if
// the buffer is the better place.
func (r *Reader) directRoom() []byte {
	d := &r.data
	if !d.active || d.asm == nil || d.asm.msg == nil || r.in.buffered() > 0 {
		return nil
	}
	room := d.asm.msg.B[d.asm.have:]
	room = room[:min(len(room), d.left)]
	if len(room) < directMin {
		return nil
	}
	return room
}

// arrived counts n octets that were read into directRoom.
func (r *Reader) arrived(n int) {
	if n > 0 {
		r.data.asm.have += n
		r.data.left -= n
	}
}
