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
//
// What is queued of large messages is charged to the connection's send budget,
// in grains: so small messages, of which nearly all RPCs consist, cost nothing
// here, and a stream's uncharged rest is less than a grain. The charge follows
// from the octets queued alone, so that both sides can count without a lock.
type Quota struct {
	queued  atomic.Int64
	limit   int64
	budget  *Budget // nil: none
	waiting atomic.Int32
	wake    chan struct{}
}

// grain is the unit of what is charged for queued octets.
const grain = 4 << 10

// NewQuota makes a quota that lets an application go on while fewer than limit
// octets are queued. One message of any size always fits.
//
// The budget, which may be nil, is charged for what is queued and refuses
// nothing. As it is used up the limit falls, until a message has to wait for the
// one before it to be gone.
func NewQuota(limit int, budget *Budget) *Quota {
	return &Quota{limit: int64(limit), budget: budget, wake: make(chan struct{}, 1)}
}

// Enqueued counts n octets as handed to loopy.
func (q *Quota) Enqueued(n int) {
	now := q.queued.Add(int64(n))
	q.charge(now-int64(n), now)
}

// Written counts n octets as gone: on the wire, or dropped.
func (q *Quota) Written(n int) {
	left := q.queued.Add(-int64(n))
	q.charge(left+int64(n), left)
	if q.waiting.Load() > 0 && q.below(left) {
		q.signal()
	}
}

// charge tells the budget that now octets are queued instead of before.
func (q *Quota) charge(before, now int64) {
	if delta := grains(now) - grains(before); delta != 0 && q.budget != nil {
		q.budget.Shift(delta)
	}
}

func grains(n int64) int64 { return max(n, 0) &^ (grain - 1) }

// below says whether an application may go on with n octets queued.
func (q *Quota) below(n int64) bool {
	return n <= 0 || n < q.limit && (q.budget == nil || n < q.budget.Scale(q.limit))
}

// Drained says that nothing is queued.
func (q *Quota) Drained() bool { return q.queued.Load() == 0 }

// Queued says how many octets are queued.
func (q *Quota) Queued() int64 { return q.queued.Load() }

// Limit says from how many queued octets on an application waits in any case.
func (q *Quota) Limit() int64 { return q.limit }

// Waiting says whether an application waits.
func (q *Quota) Waiting() bool { return q.waiting.Load() > 0 }

// Clear forgets everything queued, for a stream whose connection is lost, and
// lets the waiting application look again.
func (q *Quota) Clear() {
	q.charge(q.queued.Swap(0), 0)
	q.signal()
}

// Wait blocks while the limit is reached and says whether it may go on: false
// when done fired first. It returns early, with true, when the stream ended;
// the caller looks at its call's state afterwards in any case.
//
// Who waits for the budget is woken by its own octets as they leave, not by
// those of others: with none queued it may go on.
//
// A stream has one sender, but that of the slot's last RPC may be about to
// leave still: whoever leaves hands the place to look from on.
func (q *Quota) Wait(done <-chan struct{}) bool {
	if q.below(q.queued.Load()) {
		return true
	}
	q.waiting.Add(1)
	defer func() {
		if q.waiting.Add(-1) > 0 {
			q.signal()
		}
	}()
	// Look again: what was written between the look and the count woke nobody.
	for !q.below(q.queued.Load()) {
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
