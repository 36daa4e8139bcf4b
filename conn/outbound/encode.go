package outbound

import (
	"fmt"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// head writes the header block that o begins with, if any. It returns false
// when the stream is over with it.
func (q *Queue) head(s frame.SlotIndex, r *record, o *frame.Outgoing, w *Writes) bool {
	if r.phase == ended && (o.Header != nil || o.Payload != nil || o.Trailer != nil) {
		panic(fmt.Sprintf("outbound: content after END_STREAM of stream %d", r.id))
	}
	if o.Header == nil {
		if r.phase == fresh && (o.Payload != nil || o.EndStream) {
			panic(fmt.Sprintf("outbound: DATA before HEADERS of stream %d", r.id))
		}
		return true
	}
	end := o.EndStream && o.Payload == nil && o.Trailer == nil
	ok := q.block(s, r, o.Header, end, false, w)
	o.Header = nil
	return ok
}

// data writes the next n octets of o's payload as one frame. It gives the
// payload up with the last of them; o's quota learns of those from tail.
func (q *Queue) data(r *record, o *frame.Outgoing, n int, w *Writes) {
	p := o.Payload.B[r.gone : r.gone+n]
	r.gone += n
	through := r.gone == len(o.Payload.B)
	end := through && o.EndStream && o.Trailer == nil
	w.Head = frame.AppendDataHeader(w.Head, r.id, n, end)
	if n < q.cfg.CopyBelow {
		w.Head = append(w.Head, p...)
	} else {
		w.refer(p)
		r.refers = true
	}
	w.N += frame.HeaderLen + n
	w.DataFrames++
	r.window.Take(n)
	q.conn.Take(n)
	q.moving = true
	r.queued -= n
	q.queued -= n
	r.sent += int64(n)
	if end {
		r.phase = ended
	}
	if !through {
		if o.Quota != nil {
			o.Quota.Written(n)
		}
		return
	}
	q.release(r, o, w)
}

// tail writes what follows o's payload, of which n octets have not been
// reported to its quota yet, and is done with o.
func (q *Queue) tail(s frame.SlotIndex, r *record, o *frame.Outgoing, n int, w *Writes) {
	switch {
	case o.Trailer != nil:
		q.block(s, r, o.Trailer, true, true, w)
	case o.EndStream && r.phase == open:
		w.Head = frame.AppendDataHeader(w.Head, r.id, 0, true)
		w.N += frame.HeaderLen
		w.DataFrames++
		r.phase = ended
	}
	if o.Reset {
		q.rst(r, o.Code, w)
	}
	last := o.Last
	settle(o, n)
	if r.phase == over {
		q.cut(s, r, w)
	}
	q.finish(s, r, last, w)
}

// block writes a header block, or rejects it. It returns false when the stream
// is over with that.
func (q *Queue) block(s frame.SlotIndex, r *record, src frame.FieldSource, end, trailer bool, w *Writes) bool {
	fields := src.AppendFields(q.fields[:0])
	q.fields = fields
	if limit := q.peer.MaxHeaderListSize; limit != 0 {
		if size := listSize(fields); size > uint64(limit) {
			w.Rejected = append(w.Rejected, reject(s, r.id, trailer, size, limit))
			q.rst(r, frame.InternalError, w)
			clear(fields)
			return false
		}
	}
	before := len(w.Head)
	w.Head = q.enc.AppendHeaders(w.Head, r.id, fields, end, q.peer.MaxFrameSize)
	w.N += len(w.Head) - before
	w.HeaderBlocks++
	clear(fields) // the metadata in them belongs to an RPC that ends
	if end {
		r.phase = ended
	} else if r.phase == fresh {
		r.phase = open
	}
	return true
}

// rst ends a stream on the wire, if the peer knows of it.
func (q *Queue) rst(r *record, code frame.ErrCode, w *Writes) {
	if r.phase == open || r.phase == ended {
		before := len(w.Head)
		w.Head = frame.AppendRSTStream(w.Head, r.id, code)
		w.N += len(w.Head) - before
	}
	r.phase = max(r.phase, over)
}

// listSize is the size of a header list as RFC 9113 6.5.2 counts it.
func listSize(fields []frame.Field) uint64 {
	const overhead = 32
	var n uint64
	for i := range fields {
		n += uint64(len(fields[i].Name)+len(fields[i].Value)) + overhead
	}
	return n
}

func reject(s frame.SlotIndex, id frame.StreamID, trailer bool, size uint64, limit uint32) Rejected {
	what := "header"
	if trailer {
		what = "trailer"
	}
	return Rejected{
		Slot: s, ID: id, Size: size, Limit: limit,
		Reason: fmt.Sprintf("%s list of %d octets is larger than the peer's MAX_HEADER_LIST_SIZE of %d", what, size, limit),
	}
}
