package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

// Probe shows one actor from outside. Its methods may be called from any
// goroutine, also when the actor is stuck or gone.
type Probe struct {
	m        *Mailbox
	started  stamp
	restarts atomic.Uint32
	state    atomic.Pointer[string]
	detail   atomic.Pointer[any]
	view     atomic.Pointer[View]
	failure  atomic.Pointer[Failure]

	mu   sync.Mutex
	log  *ring
	done chan struct{}
	over bool

	prev, next *Probe // list of the table's shard
	shard      uint32
}

// View is implemented by an actor that keeps its own state in atomics: reading
// is then on the inspector's account, and publishing costs the actor nothing.
// Its methods are called from any goroutine.
type View interface {
	ProbeState() string
	ProbeDetail() any
}

// Path is the actor's name with those of its ancestors.
func (p *Probe) Path() string {
	if p.m.self == nil {
		return ""
	}
	return p.m.self.Id
}

// Kind is the Spec's.
func (p *Probe) Kind() string { return p.m.spec.Kind }

// Mode is the Spec's.
func (p *Probe) Mode() Mode { return p.m.mode }

// Started is when the actor was spawned; a restart does not change it.
func (p *Probe) Started() time.Time { return p.started.wall() }

// Mailbox is the actor's mailbox.
func (p *Probe) Mailbox() *Mailbox { return p.m }

// Restarts counts the incarnations after the first.
func (p *Probe) Restarts() int { return int(p.restarts.Load()) }

// LastFailure is the newest panic, or nil. It must not be changed.
func (p *Probe) LastFailure() *Failure { return p.failure.Load() }

// State is what SetState or the View says.
func (p *Probe) State() string {
	if v := p.view.Load(); v != nil {
		return (*v).ProbeState()
	}
	if s := p.state.Load(); s != nil {
		return *s
	}
	return ""
}

// SetState publishes the actor's state. States are few and their names are
// kept, so this does not allocate.
func (p *Probe) SetState(name string) { p.state.Store(intern(name)) }

// Detail is what SetDetail or the View says. It must not be changed.
func (p *Probe) Detail() any {
	if v := p.view.Load(); v != nil {
		return (*v).ProbeDetail()
	}
	if d := p.detail.Load(); d != nil {
		return *d
	}
	return nil
}

// SetDetail publishes a value that nobody changes any more.
func (p *Probe) SetDetail(v any) { p.detail.Store(&v) }

// SetView makes State and Detail ask v.
func (p *Probe) SetView(v View) { p.view.Store(&v) }

// Record adds to the transition log.
func (p *Probe) Record(t Transition) {
	p.mu.Lock()
	if p.log == nil {
		p.log = new(ring)
	}
	p.log.add(t)
	p.mu.Unlock()
}

// Transitions are the newest entries of the log, oldest first.
func (p *Probe) Transitions() []Transition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.list()
}

// Done is closed once the actor has stopped, its queue is settled and all of
// that is true of its children.
func (p *Probe) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.over {
			close(p.done)
		}
	}
	return p.done
}

func (p *Probe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.done != nil {
		close(p.done)
	}
}

func (p *Probe) recordFailure(reason *Panic, msg any) {
	name := ""
	if msg != nil {
		name = typeName(typeWord(msg))
	}
	p.failure.Store(&Failure{At: time.Now(), Reason: reason, Message: name})
}

// Become publishes a state and logs how it came about.
func (p *Probe) Become(from, to, on string) {
	p.SetState(to)
	p.Record(Transition{At: time.Now(), From: from, To: to, On: on})
}
