package flow

import "sync/atomic"

// Quota is the edge between an application that sends and the loopy writer
// that carries the bytes away: how many octets of one stream are queued, and
// a place to wait while there are too many.
//
// The stream actor counts what it hands to loopy (Enqueued), loopy counts what
// it wrote or dropped (Written), the application waits (Wait). Waiting charges
// nothing, so an application that is late, whose stream has ended and whose
// slot serves another RPC already, cannot disturb that one.
type Quota struct {
	queued  atomic.Int64
	limit   int64
	waiting atomic.Int32
	wake    chan struct{}
}

// NewQuota makes a quota that lets an application go on while fewer than limit
// octets are queued. One message of any size always fits.
func NewQuota(limit int) *Quota {
	return &Quota{limit: int64(limit), wake: make(chan struct{}, 1)}
}

// Enqueued counts n octets as handed to loopy.
func (q *Quota) Enqueued(n int) { q.queued.Add(int64(n)) }

// Written counts n octets as gone: on the wire, or dropped.
func (q *Quota) Written(n int) {
	if left := q.queued.Add(-int64(n)); left < q.limit && q.waiting.Load() > 0 {
		q.signal()
	}
}

// Drained says that nothing is queued.
func (q *Quota) Drained() bool { return q.queued.Load() == 0 }

// Queued says how many octets are queued.
func (q *Quota) Queued() int64 { return q.queued.Load() }

// Limit says from how many queued octets on an application waits.
func (q *Quota) Limit() int64 { return q.limit }

// Waiting says whether an application waits.
func (q *Quota) Waiting() bool { return q.waiting.Load() > 0 }

// Clear forgets everything queued, for a stream whose connection is lost, and
// lets the waiting application look again.
func (q *Quota) Clear() {
	q.queued.Store(0)
	q.signal()
}

// Wait blocks while the limit is reached and says whether it may go on: false
// when done fired first. It returns early, with true, when the stream ended;
// the caller looks at its call's state afterwards in any case.
//
// A stream has one sender, but that of the slot's last RPC may be about to
// leave still: whoever leaves hands the place to look from on.
func (q *Quota) Wait(done <-chan struct{}) bool {
	if q.queued.Load() < q.limit {
		return true
	}
	q.waiting.Add(1)
	defer func() {
		if q.waiting.Add(-1) > 0 {
			q.signal()
		}
	}()
	// Look again: what was written between the look and the count woke nobody.
	for q.queued.Load() >= q.limit {
		select {
		case <-q.wake:
		case <-done:
			return false
		}
	}
	return true
}

func (q *Quota) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
