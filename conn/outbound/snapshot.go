package outbound

import (
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Blocked is what keeps a stream's bytes from leaving.
type Blocked uint8

// What a stream waits for.
const (
	NotBlocked         Blocked = iota // nothing waits, or only for its turn
	ByStreamWindow                    // the peer has not granted this stream more
	ByConnectionWindow                // the peer has not granted the connection more
)

func (b Blocked) String() string {
	return [...]string{"nothing", "stream window", "connection window"}[b]
}

// View is a copy of a Queue for inspection.
type View struct {
	Window  int32        // the connection's send window
	Queued  int          // payload octets that wait
	Turns   int          // streams that wait for their turn, or for the connection's window
	Stuck   int          // streams that wait for their own window
	Peer    PeerSettings // what the peer has announced
	Streams []StreamView // streams that may still write, by slot
}

// StreamView is a stream's record.
type StreamView struct {
	Slot      frame.SlotIndex
	ID        frame.StreamID
	Window    int32 // its send window; negative after the peer has lowered the initial one
	Queued    int   // payload octets that wait
	Outgoings int   // what they and header blocks came in
	Sent      int64 // payload octets ever written
	Ended     bool  // END_STREAM is written
	Blocked   Blocked
	Since     time.Time // when it last wrote DATA or began to wait; zero when nothing waits, or not yet when Clock was told last
}

// Snapshot copies the queue into v, reusing its room. Like every method it
// needs the queue for itself. Nothing of the queue is in use during a write to
// the socket, so a loopy writer that is stuck in one need not stop its
// inspector from looking.
func (q *Queue) Snapshot(v *View) {
	*v = View{Window: q.conn.Value(), Queued: q.queued, Peer: q.peer, Streams: v.Streams[:0]}
	for s := range q.records {
		r := &q.records[s]
		if r.id == 0 || r.phase >= over {
			continue
		}
		sv := StreamView{
			Slot: frame.SlotIndex(s), ID: r.id, Window: r.window.Value(),
			Queued: r.queued, Outgoings: q.arena.count(&r.wait), Sent: r.sent,
			Ended: r.phase == ended, Blocked: q.blocked(r),
		}
		if r.place != nowhere && !r.undated {
			sv.Since = time.Unix(0, r.since)
		}
		switch {
		case sv.Blocked == ByStreamWindow:
			v.Stuck++
		case r.place == inRing:
			v.Turns++
		}
		v.Streams = append(v.Streams, sv)
	}
}

func (q *Queue) blocked(r *record) Blocked {
	switch {
	case r.place != stuck && r.place != inRing:
		return NotBlocked
	case r.window.Available() == 0:
		return ByStreamWindow
	case q.conn.Available() == 0:
		return ByConnectionWindow
	}
	return NotBlocked
}

func (a *arena) count(c *chain) (n int) {
	for i := c.first; i != 0; i = a.links[i-1].next {
		n++
	}
	return n
}
