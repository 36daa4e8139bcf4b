package outbound

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Clock tells the queue the time. Streams that have made progress or begun to
// wait since it was last told are taken to have done so now: a clock that is
// told once per write, and before Stalled, is exact enough, and one that is
// told late makes a stream look younger, never older.
func (q *Queue) Clock(now time.Time) {
	ns := now.UnixNano()
	for _, s := range q.undated {
		if r := &q.records[s]; r.undated {
			r.since, r.undated = ns, false
		}
	}
	q.undated = q.undated[:0]
	if q.moving {
		q.moved, q.moving = ns, false
	}
}

// waits notes that a record waits from now on.
func (q *Queue) waits(s frame.SlotIndex, r *record) {
	if !r.undated {
		r.undated = true
		q.undated = append(q.undated, s)
	}
}

// Stalled appends to dst the streams that have had DATA waiting and written
// none since before the given time, for want of either window. Clock is told
// first.
func (q *Queue) Stalled(before time.Time, dst []Ended) []Ended {
	limit := before.UnixNano()
	for s := range q.records {
		r := &q.records[s]
		if r.place != nowhere && !r.undated && r.since < limit && q.blocked(r) != NotBlocked {
			dst = append(dst, Ended{Slot: frame.SlotIndex(s), ID: r.id})
		}
	}
	return dst
}
