package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Counters is a snapshot of a mailbox. System messages are not counted.
type Counters struct {
	Depth     int   // messages waiting, without the current one
	Bytes     int64 // what they stand for, if the Spec has Size
	HighWater int   // the most that ever waited

	Posted       uint64 // every message told to the actor
	Processed    uint64 // handed to the actor, the current one included
	DeadLettered uint64 // left at the actor's end, or posted after it

	OldestAge time.Duration // how long the first in the queue has waited
	// Current is the type of the message being handled, "" when idle.
	Current string
	// CurrentSince is since when at least. Nobody reads a clock for a message
	// that is run without queueing: for those it is the first time that
	// somebody queued behind it or looked.
	CurrentSince time.Time
	// Busy is the time spent in the actor; for messages run without queueing
	// an estimate from one in 64.
	Busy      time.Duration
	Suspended bool // the actor failed and its supervisor has not decided
	Stopped   bool
}

// Pending is one waiting message.
type Pending struct {
	Type   string
	Age    time.Duration
	Size   int
	Detail string // from Spec.Describe
}

// Depth is the number of messages waiting.
func (m *Mailbox) Depth() int {
	d := m.dequeued.Load() // first, so that the difference is never negative
	return int(m.enqueued.Load() - d)
}

// Counters reads the mailbox. The actor is not disturbed.
func (m *Mailbox) Counters() Counters {
	now := clock()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state.Load()
	direct := s / oneDirect
	dequeued := m.dequeued.Load()
	var leftover, dead uint64
	var bytes int64
	if r := m.rest.Load(); r != nil {
		leftover, dead, bytes = r.leftover.Load(), r.dead.Load(), r.bytes.Load()
	}
	c := Counters{
		Depth:        m.Depth(),
		Bytes:        bytes,
		HighWater:    int(m.high),
		Posted:       direct + m.enqueued.Load() + dead - min(dead, leftover),
		Processed:    direct + dequeued - leftover,
		DeadLettered: dead,
		Busy:         time.Duration(m.busy.Load()),
		Suspended:    s&suspended != 0,
		Stopped:      s&stopped != 0,
	}
	if i := int(dequeued - m.outBase); i < len(m.out) {
		c.OldestAge = m.out[i].at.since(now)
	} else if len(m.in) > 0 {
		c.OldestAge = m.in[0].at.since(now)
	}
	if s&running != 0 {
		c.Current = typeName(atomic.LoadPointer(&m.current))
		if q := m.sequence(s); q != m.seenSeq {
			m.seenSeq, m.seenAt = q, now
		}
		c.CurrentSince = m.seenAt.wall()
	}
	return c
}

// Pending copies what is known of the first most waiting messages, oldest
// first. While it reads, the actor finishes its current message but gets no
// other.
func (m *Mailbox) Pending(most int) []Pending {
	now := clock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paused.Store(true)
	defer m.paused.Store(false)
	var list []Pending
	show := func(items []item) {
		for _, it := range items {
			if len(list) >= most {
				return
			}
			list = append(list, m.describe(it, now))
		}
	}
	if i := int(m.dequeued.Load() - m.outBase); i < len(m.out) {
		show(m.out[i:])
	}
	show(m.in)
	return list
}

func (m *Mailbox) describe(it item, now stamp) Pending {
	p := Pending{Age: it.at.since(now), Size: int(it.size)}
	msg := actor.UnwrapEnvelopeMessage(it.msg)
	p.Type = typeName(typeWord(msg))
	if m.spec.Describe != nil {
		p.Detail = m.spec.Describe(msg)
	}
	return p
}
