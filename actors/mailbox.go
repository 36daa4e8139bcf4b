package actors

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

// The state word of a mailbox: flags below, the number of messages that were
// run without queueing above. One compare-and-swap both takes an idle mailbox
// and counts its message.
const (
	running   uint64 = 1 << iota // somebody owns the mailbox
	userQueue                    // in holds user messages
	sysQueue                     // sys holds system messages
	suspended                    // user messages wait for the supervisor
	stopped                      // the actor is gone
	flags     = 1<<8 - 1
	oneDirect = flags + 1 // added for each message run without queueing
)

func runnable(s uint64) bool {
	return s&sysQueue != 0 || s&userQueue != 0 && s&(suspended|stopped) == 0
}

// item is a message that had to wait.
type item struct {
	msg  any
	at   stamp
	size int32
}

// Mailbox queues the messages of one actor and runs it. It implements
// actor.Mailbox; Spawn makes it.
type Mailbox struct {
	state   atomic.Uint64
	invoker actor.MessageInvoker
	spec    *Spec
	mode    Mode

	// owner
	lifecycle bool // a system message is being handled
	stopping  bool // Stop was seen
	gone      bool // Stopped was delivered
	runs      uint32
	left      int            // messages this stack may still run
	taken     int            // how far out has been delivered
	mark      stamp          // busy time is accounted up to here; 0 is not measured
	lastType  unsafe.Pointer // what current holds
	actor     actor.Actor
	home      *residence // Resident only

	current  unsafe.Pointer // type word of the newest message; atomic
	dequeued atomic.Uint64  // queued messages handed to the actor, or dropped at its end
	paused   atomic.Bool    // an inspector reads out: deliver nothing from it
	busy     atomic.Int64
	bytes    atomic.Int64
	enqueued atomic.Uint64 // written under mu
	high     atomic.Int64  // written under mu
	dead     atomic.Uint64 // dead letters, those of leftover included
	leftover atomic.Uint64 // queued messages the actor's end turned into dead letters

	mu      sync.Mutex
	in      []item // what senders append to
	out     []item // the batch being delivered; the slice changes under mu only
	outBase uint64 // dequeued when out was taken
	sys     []any
	sysHead int
	seenSeq uint64 // the message that seenAt is about
	seenAt  stamp  // since when at least that message is being handled

	self    *actor.PID
	system  *actor.ActorSystem
	probe   Probe
	props   actor.Props
	produce func() actor.Actor
}

// newMailbox returns a mailbox that is owned by its spawner until Start, so
// that nothing overtakes Started.
func newMailbox(spec *Spec, produce func() actor.Actor) *Mailbox {
	m := &Mailbox{spec: spec, mode: spec.Mode, produce: produce}
	m.state.Store(running)
	m.probe.m = m
	m.probe.started = clock()
	if m.mode == Resident {
		m.home = &residence{wake: make(chan struct{}, 1)}
	}
	return m
}

// RegisterHandlers implements actor.Mailbox. The dispatcher is not used: the
// mode of the Spec decides.
func (m *Mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
	if c, ok := invoker.(actor.Context); ok {
		m.self = c.Self()
		m.system = c.ActorSystem()
	}
	if t := m.spec.Table; t != nil {
		t.Add(&m.probe)
	}
}

// Start implements actor.Mailbox.
func (m *Mailbox) Start() { m.start() }

// UserMessageCount implements actor.Mailbox.
func (m *Mailbox) UserMessageCount() int { return m.Depth() }

// PostUserMessage implements actor.Mailbox.
func (m *Mailbox) PostUserMessage(msg any) {
	if m.mode == Inline {
		s := m.state.Load()
		if s&flags == 0 && m.state.CompareAndSwap(s, s+oneDirect+running) {
			m.direct(s+oneDirect, msg)
			return
		}
	}
	m.enqueue(msg)
}

// PostSystemMessage implements actor.Mailbox.
func (m *Mailbox) PostSystemMessage(msg any) {
	m.mu.Lock()
	m.sys = append(m.sys, msg)
	acquired := m.raise(sysQueue)
	m.mu.Unlock()
	if acquired {
		m.start()
	}
}

func (m *Mailbox) enqueue(msg any) {
	size := 0
	if m.spec.Size != nil {
		size = m.spec.Size(msg)
	}
	m.mu.Lock()
	s := m.state.Load()
	if s&stopped != 0 {
		m.mu.Unlock()
		m.deadLetter(msg)
		return
	}
	n := len(m.in)
	m.in = append(m.in, item{msg: msg, at: m.stampLocked(n, s), size: int32(size)})
	total := m.enqueued.Load() + 1
	m.enqueued.Store(total)
	if d := int64(total - m.dequeued.Load()); d > m.high.Load() {
		m.high.Store(d)
	}
	if size != 0 {
		m.bytes.Add(int64(size))
	}
	// The flag is raised under the lock: a sender that finds a message in the
	// queue must also find the flag, or its next one could overtake.
	acquired := n == 0 && m.raise(userQueue)
	m.mu.Unlock()
	if acquired {
		m.start()
	}
}

// stampLocked gives the stamp of the n-th waiting message. In a long queue
// only every eighth reads the clock; the others repeat the stamp before them.
func (m *Mailbox) stampLocked(n int, s uint64) stamp {
	if n >= 4 && n&7 != 0 {
		return m.in[n-1].at
	}
	now := clock()
	if q := m.sequence(s); s&running != 0 && q != m.seenSeq {
		m.seenSeq, m.seenAt = q, now
	}
	return now
}

// sequence numbers the message being handled.
func (m *Mailbox) sequence(s uint64) uint64 { return s/oneDirect + m.dequeued.Load() }

// raise sets a queue flag and takes the mailbox if that makes it runnable. The
// caller that gets true owns it and must start it.
func (m *Mailbox) raise(flag uint64) bool {
	for {
		s := m.state.Load()
		n := s | flag
		if s&running == 0 && runnable(n) {
			n |= running
		}
		if m.state.CompareAndSwap(s, n) {
			return n&^s&running != 0
		}
	}
}
