package outbound

import (
	"cmp"
	"slices"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Excess is by how much more is queued than may be, and who is to blame for it
// besides those who obviously are (see Evict).
type Excess struct {
	// Octets are to be got rid of.
	Octets int64

	// Shared says that everybody's memory is used up, not only the connection's.
	// Then not even the oldest stream is spared, and streams that had window once
	// are to blame, too, if they have not had any since Before. Otherwise these are
	// left to Stalled: their peer may be busy with others.
	Shared bool

	// Before is when the connection must have written its last DATA for all its
	// streams to be to blame, if it is the connection's window that is used up.
	Before time.Time
}

// Evict appends to dst the streams that have to go so that no more is queued
// than may be, the newest first; the oldest of them stays, because one message of
// whatever size fits. They have octets queued and no window. To blame in any case
// are those that were granted less, in all, than the window that streams begin
// with unless the peer says otherwise (RFC 9113 6.5.2): somebody asks for what he
// does not take.
//
// A stream that was chosen is not chosen again, and what it holds does not count
// any more: the reset that follows drops it. Clock is told first.
func (q *Queue) Evict(x Excess, dst []Ended) []Ended {
	q.suspects = q.suspects[:0]
	octets := x.Octets
	for s := range q.records {
		r := &q.records[s]
		switch {
		case r.condemned:
			octets -= int64(r.queued)
		case q.blames(r, &x):
			q.suspects = append(q.suspects, frame.SlotIndex(s))
		}
	}
	slices.SortFunc(q.suspects, func(a, b frame.SlotIndex) int {
		return cmp.Compare(q.records[b].id, q.records[a].id)
	})
	if n := len(q.suspects); n > 0 && !x.Shared {
		q.suspects = q.suspects[:n-1]
	}
	for _, s := range q.suspects {
		if octets <= 0 {
			break
		}
		r := &q.records[s]
		r.condemned = true
		octets -= int64(r.queued)
		dst = append(dst, Ended{Slot: s, ID: r.id})
	}
	return dst
}

func (q *Queue) blames(r *record, x *Excess) bool {
	before := x.Before.UnixNano()
	switch q.blocked(r) {
	case ByStreamWindow:
		return r.sent < frame.DefaultWindow || x.Shared && !r.undated && r.since < before
	case ByConnectionWindow:
		return !q.moving && q.moved < before
	case NotBlocked:
	}
	return false
}
