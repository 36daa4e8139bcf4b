package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// sampleEvery is how many direct messages share one measurement of busy time.
const sampleEvery = 64

// start runs an owned mailbox on the goroutine its mode asks for.
func (m *Mailbox) start() {
	switch m.mode {
	case Inline:
		m.drain(foreignLimit)
	case Goroutine:
		go m.drain(unlimited)
	case Resident:
		m.startResident()
	}
}

// direct runs one message on the sender's stack without queueing it. idle is
// the state word to leave behind if nothing else came in meanwhile.
func (m *Mailbox) direct(idle uint64, msg any) {
	m.runs++
	if m.runs%sampleEvery == 0 {
		m.mark = clock()
		m.deliver(msg)
		m.busy.Add(int64(m.mark.since(clock())) * sampleEvery)
		m.mark = 0
	} else {
		m.deliver(msg)
	}
	if !m.state.CompareAndSwap(idle+running, idle) {
		m.drain(foreignLimit - 1)
	}
}

func (m *Mailbox) deliver(msg any) {
	ok := false
	defer func() {
		if !ok {
			m.failed(recover(), msg)
		}
	}()
	m.note(msg)
	m.invoker.InvokeUserMessage(msg)
	ok = true
}

// note publishes what is being handled.
func (m *Mailbox) note(msg any) {
	if t := typeWord(msg); t != m.current {
		atomic.StorePointer(&m.current, t)
	}
}

// verdict is how a turn ended.
type verdict uint8

const (
	failed   verdict = iota // the actor panicked; the mailbox is still owned
	released                // the mailbox is idle or has another owner
	ended                   // released, and the resident goroutine is to end
)

// drain runs an owned mailbox until it can give it up.
func (m *Mailbox) drain(limit int32) verdict {
	m.left = limit
	for {
		if v := m.turn(); v != failed {
			return v
		}
	}
}

// turn delivers until nothing is left, the stack's limit is reached or the
// actor panics.
func (m *Mailbox) turn() (v verdict) {
	var msg any
	defer func() {
		if v == failed {
			m.failed(recover(), msg)
		}
	}()
	for {
		s := m.state.Load()
		waiting := int(m.taken) < len(m.out) && s&(suspended|stopped) == 0
		if !waiting && !runnable(s) {
			msg = nil
			if m.mode == Resident && m.lookAgain(s) {
				continue
			}
			if v := m.release(s); v != failed {
				return v
			}
			continue
		}
		if m.left <= 0 && m.mode == Inline {
			go m.drain(unlimited)
			return released
		}
		switch {
		case s&sysQueue != 0:
			msg = m.nextSystem()
			m.left--
			m.handleSystem(msg)
		case waiting:
			msg = m.next()
			m.left--
			m.fresh = true
			m.note(msg)
			m.invoker.InvokeUserMessage(msg)
		default:
			m.swap()
		}
	}
}

// release gives the mailbox up unless something came in since s was read.
func (m *Mailbox) release(s uint64) verdict {
	if m.mark != 0 {
		m.busy.Add(int64(m.mark.since(clock())))
		m.mark = 0
	}
	v, h := released, m.home
	if m.mode == Resident && m.leaving(s) {
		v = ended
	}
	if m.state.CompareAndSwap(s, s&^running) {
		return v
	}
	if v == ended {
		m.stay(s, h)
	}
	return failed
}

// next takes the next message of the batch. The order of its first two steps
// is what lets an inspector read the rest: it sets paused and then reads
// dequeued, so either it sees this message gone or we see it reading.
func (m *Mailbox) next() any {
	it := &m.out[m.taken]
	m.dequeued.Add(1)
	if m.paused.Load() {
		m.mu.Lock()
		m.mu.Unlock() //nolint:staticcheck // waits for the inspector to finish
	}
	m.taken++
	msg := it.msg
	it.msg = nil
	if it.size != 0 {
		m.rare().bytes.Add(-int64(it.size))
	}
	return msg
}

// spareCap is how many items of room an idle queue keeps without asking
// whether it needs them.
const spareCap = 256

// swap makes everything queued the next batch.
func (m *Mailbox) swap() {
	now := clock()
	if m.mark != 0 {
		m.busy.Add(int64(m.mark.since(now)))
	}
	m.mark = now
	spare := m.out[:0]
	m.mu.Lock()
	m.out = m.in
	if cap(spare) > spareCap && len(m.out) < cap(spare)/4 {
		spare = nil
	}
	m.in = spare
	m.taken = 0
	m.outBase = m.dequeued.Load()
	s := m.state.And(^userQueue)
	m.seenSeq, m.seenAt = m.sequence(s)+1, now
	m.mu.Unlock()
}

func (m *Mailbox) nextSystem() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.sys
	msg := q.list[q.head]
	q.list[q.head] = nil
	q.head++
	if q.head == len(q.list) {
		m.sys = nil
		m.state.And(^sysQueue)
	}
	return msg
}

// handleSystem hands a system message to protoactor, except those that would
// revive an actor which is on its way out.
func (m *Mailbox) handleSystem(msg any) {
	m.note(msg)
	if _, watch := msg.(*actor.Watch); m.gone && !watch {
		return
	}
	switch msg.(type) {
	case *actor.SuspendMailbox:
		m.state.Or(suspended)
		return
	case *actor.ResumeMailbox:
		m.state.And(^suspended)
		return
	case *actor.Restart:
		if m.stopping {
			return
		}
		m.probe().Publish(Restarted{Incarnation: int(m.rare().restarts.Add(1))})
	case *actor.Stop:
		m.stopping = true
	}
	m.fresh = true
	m.lifecycle = true
	m.invoker.InvokeSystemMessage(msg)
	m.lifecycle = false
	if m.gone {
		m.depart()
	}
}
