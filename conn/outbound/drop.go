package outbound

import (
	"github.com/callboard-rpc/callboard/codec/frame"
)

// reset ends a stream at once: what it has queued is dropped, o's content too.
func (q *Queue) reset(s frame.SlotIndex, r *record, o *frame.Outgoing, w *Writes) {
	code := o.Code
	last := q.discard(o)
	q.rst(r, code, w)
	q.cut(s, r, w)
	q.finish(s, r, last, w)
}

// drop forgets what a stream has queued, because the peer has reset it.
func (q *Queue) drop(d *frame.Drop, w *Writes) {
	if d.Slot < 0 {
		return
	}
	r := q.record(d.Slot, d.StreamID, w)
	if r == nil || r.phase >= over {
		return
	}
	r.phase = over
	q.cut(d.Slot, r, w)
}

// cut drops everything a stream has queued. If its Last is among that, the
// stream is finished.
func (q *Queue) cut(s frame.SlotIndex, r *record, w *Writes) {
	q.put(s, r, nowhere)
	last := false
	for !r.wait.empty() {
		o := q.arena.pop(&r.wait)
		n := 0
		if o.Payload != nil {
			n = len(o.Payload.B) - r.gone
			r.queued -= n
			q.queued -= n
			q.release(r, o, w)
		}
		last = last || o.Last
		settle(o, n)
	}
	q.finish(s, r, last, w)
}

// discard drops an Outgoing that was never queued. It returns its Last.
func (q *Queue) discard(o *frame.Outgoing) (last bool) {
	n := 0
	if o.Payload != nil {
		n = len(o.Payload.B)
		o.Payload.Release()
	}
	last = o.Last
	settle(o, n)
	return last
}

// finish reports a stream as finished, once.
func (q *Queue) finish(s frame.SlotIndex, r *record, last bool, w *Writes) {
	if last && r.phase != finished {
		r.phase = finished
		w.Finished = append(w.Finished, Ended{Slot: s, ID: r.id})
	}
}

// release gives up the payload of the first Outgoing of a stream: behind the
// write if that carries some of it in place.
func (q *Queue) release(r *record, o *frame.Outgoing, w *Writes) {
	if r.refers {
		w.Release = append(w.Release, o.Payload)
	} else {
		o.Payload.Release()
	}
	o.Payload = nil
	r.gone, r.refers = 0, false
}

// settle tells o's quota that its last n octets of payload and o itself are
// gone, and frees o. Nothing of the stream may be touched on its account
// afterwards: a drained stream may end and its slot serve the next.
func settle(o *frame.Outgoing, n int) {
	if o.Quota != nil {
		o.Quota.Written(n + 1)
	}
	o.Free()
}
