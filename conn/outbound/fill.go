package outbound

import (
	"github.com/callboard-rpc/callboard/codec/frame"
)

// Fill puts into w, which is empty, what steps have encoded and then what may
// be written now, in the order of the package comment, until w holds about
// limit octets (the last frame may go beyond). The rest waits for the next
// Fill, if Ready, or for the peer's window.
func (q *Queue) Fill(w *Writes, limit int) {
	if w.room != nil {
		panic("outbound: Fill of a Writes that was not reset")
	}
	*w, q.w = q.w, Writes{}
	if q.heads.empty() && (q.ring.empty() || q.conn.Available() == 0) {
		w.segment()
		return
	}
	w.open()
	for w.N < limit && !q.heads.empty() {
		s := q.heads.first
		r := &q.records[s]
		q.put(s, r, nowhere)
		q.run(s, r, w)
	}
	// Header blocks that are left come first in the next Fill, too.
	for q.heads.empty() && w.N < limit && !q.ring.empty() && q.conn.Available() > 0 {
		s := q.ring.first
		q.turn(s, &q.records[s], w)
	}
	w.segment()
}

// turn writes one DATA frame of a stream, and what follows its payload if that
// is through.
func (q *Queue) turn(s frame.SlotIndex, r *record, w *Writes) {
	o := q.arena.first(&r.wait)
	left := len(o.Payload.B) - r.gone
	n := min(left, q.perFrame, r.window.Available(), q.conn.Available())
	if n == 0 { // the peer has lowered its initial window
		q.put(s, r, stuck)
		return
	}
	q.data(r, o, n, w)
	if n < left {
		q.await(s, r)
		return
	}
	q.put(s, r, nowhere)
	q.arena.pop(&r.wait)
	q.tail(s, r, o, n, w)
	q.run(s, r, w)
}

// run writes what a stream has queued up to its next DATA. The record is in no
// list.
func (q *Queue) run(s frame.SlotIndex, r *record, w *Writes) {
	for !r.wait.empty() {
		o := q.arena.first(&r.wait)
		if !q.head(s, r, o, w) {
			q.cut(s, r, w)
			return
		}
		if o.Payload != nil {
			q.await(s, r)
			return
		}
		q.arena.pop(&r.wait)
		q.tail(s, r, o, 0, w)
	}
}
