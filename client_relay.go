package callboard

import (
	"sync"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// relay is the way of a streaming RPC's messages from the application to the
// attempts. What was sent is kept until the RPC is committed to one attempt, so
// that others can be sent it, too; beyond a limit, and when the process holds
// too much, the RPC is committed where it is (gRFC A6, Memory Management).
//
// While there is one attempt that has got everything, the application sends to
// it directly. Otherwise each attempt has a pusher: a goroutine that sends it
// what is kept, in order, and what follows.
type relay struct {
	mu        sync.Mutex
	try       *try // the attempt that is the RPC, for all that is known; nil while several race
	direct    bool // the application sends to try
	moving    bool // another connection than try's is being looked for
	over      bool
	committed bool
	half      bool // half-closed behind the last message
	kept      []sent
	first     int   // the number of kept[0], counted from the RPC's first message
	size      int   // octets kept
	total     int64 // octets that were ever kept
	limit     int
	budget    *flow.Budget
	changed   chan struct{} // closed at the next change; nil: nobody waits for one
}

// sent is a message, encoded.
type sent struct {
	wire    *buffer.Buffer
	sizes   codec.Sizes
	message any   // for the stats handlers; nil where there is none
	before  int64 // octets kept before it
}

// backlogLimit is how many octets may be kept that no attempt has sent yet. An
// application that is faster waits, as it would with one connection: a request
// is not to use up what may be kept before anybody has read of it.
const backlogLimit = 64 << 10

// backlog is how many octets of what is kept the furthest of the attempts has
// not sent yet. The lock is held.
func (r *relay) backlog(live []*try) int64 {
	next := r.first
	for _, t := range live {
		next = max(next, t.next)
	}
	if i := next - r.first; i < len(r.kept) {
		return r.total - r.kept[i].before
	}
	return 0
}

// wait is closed at the next change. The lock is held.
func (r *relay) wait() <-chan struct{} {
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

// announce wakes who waits for a change. The lock is held.
func (r *relay) announce() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// keep takes m with its reference, if it fits. The lock is held.
func (r *relay) keep(m sent) bool {
	n := len(m.wire.B)
	if r.size+n > r.limit || !afford(r.budget, n) {
		return false
	}
	m.before = r.total
	r.size += n
	r.total += int64(n)
	r.kept = append(r.kept, m)
	return true
}

// drop forgets messages before number n. The lock is held.
func (r *relay) drop(n int) {
	i := 0
	for ; i < len(r.kept) && r.first < n; i++ {
		m := r.kept[i]
		r.forget(len(m.wire.B))
		m.wire.Release()
		r.kept[i] = sent{}
		r.first++
	}
	if r.kept = r.kept[i:]; len(r.kept) == 0 {
		r.kept = nil
	}
}

func (r *relay) forget(n int) {
	r.size -= n
	r.budget.Refund(n)
}

// afford charges b with n octets that are only kept to be sent again, unless it
// is needed for what is under way.
func afford(b *flow.Budget, n int) bool { return !b.Tight() && b.Charge(n) }

// commit says that only t goes on: it needs what it has not got yet, nobody
// needs more. The lock is held.
func (r *relay) commit(t *try) {
	if r.committed {
		return
	}
	r.committed = true
	if r.direct {
		r.drop(r.first + len(r.kept))
		return
	}
	r.drop(t.next)
}

// close ends the relay with the RPC.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.committed, r.direct = true, true, true
	r.drop(r.first + len(r.kept))
	r.announce()
}

// settle makes t the attempt in force. The lock is held.
func (r *relay) settle(t *try) {
	r.try, r.direct = t, !t.pushing
	r.announce()
}

// take is the next message for t's pusher, with a reference of its own; end says
// that the stream is half-closed behind it. more is false when the pusher's work
// is done. Without a message and with more, the stream is half-closed now.
func (r *relay) take(t *try) (m sent, end, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !t.lost && !r.over {
		if i := t.next - r.first; i < len(r.kept) {
			m = r.kept[i]
			m.wire.Retain()
			t.next++
			end = r.half && i == len(r.kept)-1
			t.closed = end
			if r.committed {
				r.drop(t.next)
			}
			r.announce()
			return m, end, true
		}
		if r.half && !t.closed {
			t.closed = true
			return sent{}, true, true
		}
		if r.try == t {
			break // all caught up: the application takes over
		}
		change := r.wait()
		r.mu.Unlock()
		select {
		case <-change:
		case <-t.ctx.Done():
		}
		r.mu.Lock()
		if t.ctx.Err() != nil {
			break
		}
	}
	r.rest(t)
	return sent{}, false, false
}

// rest ends t's pusher. The lock is held.
func (r *relay) rest(t *try) {
	t.pushing = false
	if r.try == t {
		r.direct = true
		r.announce()
	}
}

// stopPushing ends t's pusher before it has sent everything: the attempt is over.
func (r *relay) stopPushing(t *try) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest(t)
}
