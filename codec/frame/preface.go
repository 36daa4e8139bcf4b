package frame

// ReadPreface reads the 24 octets a client begins with (RFC 9113 3.4). It
// stops at the first wrong one, so that a client of another protocol does not
// wait for an answer that cannot come.
func (r *Reader) ReadPreface() error {
	for r.err == nil {
		p := r.in.unread()
		n := min(len(p), len(Preface))
		if string(p[:n]) != Preface[:n] {
			r.err = &ConnError{Code: ProtocolError, Reason: "the client preface is wrong", Clause: "RFC 9113 3.4"}
			break
		}
		if n == len(Preface) {
			r.in.skip(n)
			return nil
		}
		r.need = len(Preface)
		r.err = r.fill()
	}
	return r.err
}
