package actors

import (
	"time"
)

// Probe shows one actor from outside. Its methods may be called from any
// goroutine, also when the actor is stuck or gone. It is the actor's mailbox
// under another name: nothing is kept for it alone.
type Probe Mailbox

// View is implemented by an actor that keeps its own state in atomics: reading
// is then on the inspector's account, and publishing costs the actor nothing.
// Its methods are called from any goroutine.
type View interface {
	ProbeState() string
	ProbeDetail() any
}

// Path is the actor's name with those of its ancestors.
func (p *Probe) Path() string {
	if p.self == nil {
		return ""
	}
	return p.self.Id
}

// Kind is the Spec's.
func (p *Probe) Kind() string { return p.spec.Kind }

// Mode is the Spec's.
func (p *Probe) Mode() Mode { return p.mode }

// Started is when the actor was spawned; a restart does not change it.
func (p *Probe) Started() time.Time { return p.started.wall() }

// Mailbox is the actor's mailbox.
func (p *Probe) Mailbox() *Mailbox { return (*Mailbox)(p) }

// Restarts counts the incarnations after the first.
func (p *Probe) Restarts() int {
	if r := p.rest.Load(); r != nil {
		return int(r.restarts.Load())
	}
	return 0
}

// LastFailure is the newest panic, or nil. It must not be changed.
func (p *Probe) LastFailure() *Failure {
	if r := p.rest.Load(); r != nil {
		return r.failure.Load()
	}
	return nil
}

// State is what SetState or the View says.
func (p *Probe) State() string {
	if v := p.view.Load(); v != nil {
		return (*v).ProbeState()
	}
	if s := p.shown.Load(); s != nil {
		return *s
	}
	return ""
}

// SetState publishes the actor's state. States are few and their names are
// kept, so this does not allocate.
func (p *Probe) SetState(name string) { p.shown.Store(intern(name)) }

// Detail is what SetDetail or the View says. It must not be changed.
func (p *Probe) Detail() any {
	if v := p.view.Load(); v != nil {
		return (*v).ProbeDetail()
	}
	if r := p.rest.Load(); r != nil {
		if d := r.detail.Load(); d != nil {
			return *d
		}
	}
	return nil
}

// SetDetail publishes a value that nobody changes any more.
func (p *Probe) SetDetail(v any) { p.Mailbox().rare().detail.Store(&v) }

// SetView makes State and Detail ask v.
func (p *Probe) SetView(v View) { p.view.Store(&v) }

// Record adds to the transition log and tells the observer.
func (p *Probe) Record(t Transition) { p.record(t, nil) }

func (p *Probe) record(t Transition, detail any) {
	p.mu.Lock()
	if p.log == nil {
		p.log = new(ring)
	}
	p.log.add(t)
	p.mu.Unlock()
	if o := p.observer(); o != nil {
		o(p, t, detail)
	}
}

// Publish tells the table's observer of detail, which nobody changes any more.
// Without an observer it costs an atomic load.
func (p *Probe) Publish(detail any) {
	if o := p.observer(); o != nil {
		o(p, Transition{At: time.Now()}, detail)
	}
}

func (p *Probe) observer() Observer {
	t := p.spec.Table
	if t == nil {
		return nil
	}
	if o := t.observer.Load(); o != nil {
		return *o
	}
	return nil
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
	r := p.Mailbox().rare()
	if r.done == nil {
		r.done = make(chan struct{})
		if p.over {
			close(r.done)
		}
	}
	return r.done
}

func (p *Probe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if r := p.rest.Load(); r != nil && r.done != nil {
		close(r.done)
	}
}

func (p *Probe) recordFailure(reason *Panic, msg any) {
	name := ""
	if msg != nil {
		name = typeName(typeWord(msg))
	}
	f := &Failure{At: time.Now(), Reason: reason, Message: name}
	p.Mailbox().rare().failure.Store(f)
	p.Publish(f)
}

// Become publishes a state and logs how it came about.
func (p *Probe) Become(from, to, on string) { p.BecomeWith(from, to, on, nil) }

// BecomeWith is Become with a detail for the observer, which nobody changes any
// more. The log does not keep it.
func (p *Probe) BecomeWith(from, to, on string, detail any) {
	p.SetState(to)
	p.record(Transition{At: time.Now(), From: from, To: to, On: on}, detail)
}
