package outbound

import (
	"fmt"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// phase is how far a stream has come on the wire, seen from our side.
type phase uint8

const (
	fresh    phase = iota // nothing of it is on the wire
	open                  // HEADERS are
	ended                 // END_STREAM is; only RST_STREAM may follow
	over                  // RST_STREAM is, or the peer's was seen; nothing may follow
	finished              // Last is done with
)

// place is where a record waits.
type place uint8

const (
	nowhere place = iota // nothing is queued
	inHeads              // in Queue.heads: the next thing needs no window
	inRing               // in Queue.ring: the next thing is DATA
	stuck                // in no list: DATA without stream window
)

// record is one slot's stream.
type record struct {
	id        frame.StreamID
	window    flow.Window
	wait      chain           // Outgoings that are not written yet
	gone      int             // octets of the first one's payload that are
	queued    int             // octets of payload that are not written
	sent      int64           // octets of payload ever written
	since     int64           // when it last made progress while something waited, Unix ns; see undated
	prev      frame.SlotIndex // neighbours in the list of its place
	next      frame.SlotIndex
	phase     phase
	place     place
	undated   bool // since is for the next Clock to say
	condemned bool // Evict has chosen it
	refers    bool // what is gone of the first Outgoing's payload was written in place
}

// list is a first-in first-out list of records, linked through them: joining,
// leaving and being taken out of the middle cost no allocation.
type list struct {
	first, last frame.SlotIndex
}

func newList() list { return list{first: frame.NoSlot, last: frame.NoSlot} }

func (l *list) empty() bool { return l.first == frame.NoSlot }

func (l *list) push(records []record, s frame.SlotIndex) {
	records[s].prev, records[s].next = l.last, frame.NoSlot
	if l.last == frame.NoSlot {
		l.first = s
	} else {
		records[l.last].next = s
	}
	l.last = s
}

func (l *list) remove(records []record, s frame.SlotIndex) {
	r := &records[s]
	if r.prev == frame.NoSlot {
		l.first = r.next
	} else {
		records[r.prev].next = r.next
	}
	if r.next == frame.NoSlot {
		l.last = r.prev
	} else {
		records[r.next].prev = r.prev
	}
}

// record returns the record of slot for stream id, started anew if the id is
// higher than that of the slot's last stream; nil if it is lower.
func (q *Queue) record(slot frame.SlotIndex, id frame.StreamID, w *Writes) *record {
	if slot < 0 || id == 0 {
		panic(fmt.Sprintf("outbound: stream %d in slot %d", id, slot))
	}
	if int(slot) >= len(q.records) {
		q.records = append(q.records, make([]record, int(slot)+1-len(q.records))...)
	}
	r := &q.records[slot]
	switch {
	case id == r.id:
		return r
	case id < r.id:
		return nil
	}
	q.cut(slot, r, w) // nothing, unless the slot was given away too early
	*r = record{id: id, window: flow.NewWindow(q.peer.InitialWindow), undated: r.undated}
	if !q.cfg.Client {
		r.phase = open
	}
	return r
}

// await puts a record whose next thing is DATA where it waits for its turn.
func (q *Queue) await(s frame.SlotIndex, r *record) {
	q.waits(s, r)
	if r.window.Available() == 0 {
		q.put(s, r, stuck)
		return
	}
	q.put(s, r, inRing)
}

// unstick gives a record its turns back when its window has opened. It keeps
// the time since which it waits.
func (q *Queue) unstick(s frame.SlotIndex, r *record) {
	if r.place == stuck && r.window.Available() > 0 {
		q.put(s, r, inRing)
	}
}

// put moves a record to the end of where p says.
func (q *Queue) put(s frame.SlotIndex, r *record, p place) {
	switch r.place {
	case inHeads:
		q.heads.remove(q.records, s)
	case inRing:
		q.ring.remove(q.records, s)
	case nowhere, stuck:
	}
	r.place = p
	switch p {
	case inHeads:
		q.heads.push(q.records, s)
	case inRing:
		q.ring.push(q.records, s)
	case nowhere, stuck:
	}
}
