package frame

import (
	"io"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// Source is where a Reader gets its octets.
type Source interface {
	io.Reader

	// WaitReadable blocks until a Read would make progress. The Reader holds
	// no buffer meanwhile. A Source that cannot tell returns nil at once.
	WaitReadable() error
}

// carryLen is how many octets are kept aside so that the read buffer can be
// given back although a frame header or small frame has begun: a peer that
// dribbles must not pin a whole buffer.
const carryLen = 64

// maxEmptyReads is how often in a row a Source may return neither octets nor
// an error.
const maxEmptyReads = 100

// input is the buffered part of what the Source delivers.
type input struct {
	src   Source
	size  int             // of the buffer while nothing larger is needed
	buf   *buffer.Buffer  // nil while there is nothing to read
	r, w  int             // buf.B[r:w] is unread
	carry *[carryLen]byte // what of it is kept while there is no buf
	err   error           // what the Source said together with its last octets
}

// unread returns what is buffered.
func (in *input) unread() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf.B[in.r:in.w]
}

// buffered says how much unread returns.
func (in *input) buffered() int { return in.w - in.r }

// skip consumes n buffered octets.
func (in *input) skip(n int) { in.r += n }

// fill reads more, with room for at least need octets from the first unread
// one on. It blocks.
func (in *input) fill(need int) error {
	if in.err != nil {
		return in.err
	}
	kept := in.buffered()
	if kept <= carryLen {
		if kept > 0 {
			if in.carry == nil {
				in.carry = new([carryLen]byte)
			}
			copy(in.carry[:], in.unread())
		}
		in.release()
		if err := in.src.WaitReadable(); err != nil {
			return err
		}
	}
	in.makeRoom(max(need, in.size), kept)
	n, err := in.read(in.buf.B[in.w:])
	in.w += n
	return err
}

// makeRoom sees to a buffer of at least size octets that begins with the kept
// ones.
func (in *input) makeRoom(size, kept int) {
	switch old := in.buf; {
	case old == nil:
		in.buf = buffer.Get(size)
		if kept > 0 {
			copy(in.buf.B, in.carry[:kept])
		}
	case len(old.B) < size:
		in.buf = buffer.Get(size)
		copy(in.buf.B, old.B[in.r:in.w])
		old.Release()
	case in.r > 0:
		copy(old.B, old.B[in.r:in.w])
	}
	in.r, in.w = 0, kept
}

// read reads past the buffer, which is empty, into p. It blocks until there is
// at least one octet.
func (in *input) read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	for range maxEmptyReads {
		n, err := in.src.Read(p)
		if n > 0 {
			in.err = err
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// release gives the buffer back.
func (in *input) release() {
	if in.buf != nil {
		in.buf.Release()
		in.buf = nil
	}
	in.r, in.w = 0, 0
}
