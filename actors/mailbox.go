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
//
// There is one per actor, and a server holds tens of thousands of actors that
// have nothing to do: what most of them never need stands in rare.
type Mailbox struct {
	state   atomic.Uint64
	invoker actor.MessageInvoker // owner
	spec    *Spec
	shell   atomic.Pointer[shell] // nil: the actor is gone

	// owner
	runs  uint32
	left  int32 // messages this stack may still run; see foreignLimit
	taken int32 // how far out has been delivered

	mode      Mode
	lifecycle bool        // a system message is being handled
	stopping  bool        // Stop was seen
	gone      bool        // Stopped was delivered
	fresh     bool        // Resident: something was handled since Drained was called
	visiting  bool        // Resident: run on a sender's stack
	over      bool        // under mu: Done is closed
	paused    atomic.Bool // an inspector reads out: deliver nothing from it

	mark stamp      // owner: busy time is accounted up to here; 0 is not measured
	home *residence // owner: Resident, while there is a goroutine

	current  unsafe.Pointer // type word of the newest message; written by the owner, atomically
	dequeued atomic.Uint64  // queued messages handed to the actor, or dropped at its end
	enqueued atomic.Uint64  // written under mu
	busy     atomic.Int64

	mu      sync.Mutex
	in      []item       // what senders append to
	out     []item       // the batch being delivered; the slice changes under mu only
	outBase uint64       // dequeued when out was taken
	seenSeq uint64       // the message that seenAt is about
	seenAt  stamp        // since when at least that message is being handled
	sys     *systemQueue // nil: empty
	log     *ring        // nil: empty
	high    uint32       // the most that ever waited

	shard         uint32 // of the table
	before, after *Probe // list of the table's shard

	self    *actor.PID
	system  *actor.ActorSystem
	started stamp
	shown   atomic.Pointer[string] // the actor's state
	view    atomic.Pointer[View]
	rest    atomic.Pointer[rare]
}

// rare is the part of a mailbox that comes with failures, restarts, dead
// letters and watchers.
type rare struct {
	produce  func() actor.Actor // nil: one value for all incarnations
	detail   atomic.Pointer[any]
	failure  atomic.Pointer[Failure]
	restarts atomic.Uint32
	bytes    atomic.Int64
	dead     atomic.Uint64 // dead letters, those of leftover included
	leftover atomic.Uint64 // queued messages the actor's end turned into dead letters
	done     chan struct{} // under the mailbox's mu
}

// rare makes the rest of the mailbox if need be.
func (m *Mailbox) rare() *rare {
	if r := m.rest.Load(); r != nil {
		return r
	}
	r := new(rare)
	if m.rest.CompareAndSwap(nil, r) {
		return r
	}
	return m.rest.Load()
}

// systemQueue is made for the first system message and dropped with the last.
type systemQueue struct {
	list []any
	head int
}

// newMailbox returns a mailbox that is owned by its spawner until begin, so
// that nothing overtakes Started.
func newMailbox(spec *Spec) *Mailbox {
	m := &Mailbox{spec: spec, mode: spec.Mode, started: clock()}
	m.state.Store(running)
	return m
}

func (m *Mailbox) probe() *Probe { return (*Probe)(m) }

// RegisterHandlers implements actor.Mailbox. The dispatcher is not used: the
// mode of the Spec decides.
func (m *Mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
	if c, ok := invoker.(actor.Context); ok {
		m.self, m.system = c.Self(), c.ActorSystem()
		if h, ok := c.Actor().(*shell); ok {
			h.m = m
			m.shell.Store(h)
		}
	}
}

// Start implements actor.Mailbox. The spawner starts the mailbox, with begin:
// it is not complete yet.
func (m *Mailbox) Start() {}

// begin hands the mailbox over from its spawner.
func (m *Mailbox) begin(a actor.Actor, produce func() actor.Actor) {
	if produce != nil {
		m.rare().produce = produce
		a = produce()
	}
	m.shell.Load().actor = a
	if t := m.spec.Table; t != nil {
		t.Add(m.probe())
	}
	m.start()
}

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
	} else if may := m.spec.Visit.May; may != nil {
		s := m.state.Load()
		if h := m.shell.Load(); s&flags == 0 && h != nil && may(h.actor, msg) && m.state.CompareAndSwap(s, s+oneDirect+running) {
			m.visit(s+oneDirect, msg)
			return
		}
	}
	m.enqueue(msg)
}

// PostSystemMessage implements actor.Mailbox.
func (m *Mailbox) PostSystemMessage(msg any) {
	if q, ok := msg.(*identify); ok {
		q.m = m
		return
	}
	m.mu.Lock()
	if m.sys == nil {
		m.sys = new(systemQueue)
	}
	m.sys.list = append(m.sys.list, msg)
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
	if d := uint32(total - m.dequeued.Load()); d > m.high {
		m.high = d
	}
	if size != 0 {
		m.rare().bytes.Add(int64(size))
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
