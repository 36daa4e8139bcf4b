package outbound

import (
	"github.com/callboard-rpc/callboard/codec/frame"
)

// send takes an Outgoing: it is written here and now, queued, or dropped.
func (q *Queue) send(o *frame.Outgoing, w *Writes) {
	s := o.Slot
	r := q.record(s, o.StreamID, w)
	switch {
	case r == nil || r.phase == finished:
		q.discard(o)
		return
	case r.phase == over || q.broken:
		q.finish(s, r, q.discard(o), w)
		return
	case o.Reset && !o.After:
		q.reset(s, r, o, w)
		return
	}
	if o.Payload != nil {
		if len(o.Payload.B) == 0 {
			o.Payload.Release()
			o.Payload = nil
		} else {
			r.queued += len(o.Payload.B)
			q.queued += len(o.Payload.B)
		}
	}
	if r.wait.empty() && q.heads.empty() && w.N < directUpTo && q.direct(s, r, o, w) {
		return
	}
	q.arena.push(&r.wait, o)
	switch {
	case r.place != nowhere: // something of it waits already
	case o.Header == nil && o.Payload != nil:
		q.await(s, r)
	default:
		q.waits(s, r)
		q.put(s, r, inHeads)
	}
}

// direct encodes an Outgoing that finds its stream idle. It returns false when
// the payload has to wait for its turn or for window; the header block has
// left then.
//
// This is the path of nearly every RPC: it allocates nothing.
func (q *Queue) direct(s frame.SlotIndex, r *record, o *frame.Outgoing, w *Writes) bool {
	if !q.head(s, r, o, w) {
		q.arena.push(&r.wait, o)
		q.cut(s, r, w)
		return true
	}
	n := 0
	if o.Payload != nil {
		n = len(o.Payload.B)
		if !q.ring.empty() || n > q.perFrame || n > r.window.Available() || n > q.conn.Available() {
			return false
		}
		q.data(r, o, n, w)
	}
	q.tail(s, r, o, n, w)
	return true
}
