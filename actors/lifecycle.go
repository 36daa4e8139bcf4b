package actors

import "github.com/asynkron/protoactor-go/actor"

// shell is the actor protoactor sees. It passes user messages through and
// guards the lifecycle ones.
//
// All actors of a Spec share one actor.Props, which cannot say for whom it
// makes a shell: the mailbox that is registered with it sets m, and that of a
// further incarnation asks its process.
type shell struct {
	m     *Mailbox
	actor actor.Actor
}

// identify is answered by a Mailbox at once, on the goroutine of whoever posts
// it as a system message.
type identify struct{ m *Mailbox }

// mailboxOf is the mailbox behind a process of Spawn's making, or nil.
func mailboxOf(as *actor.ActorSystem, pid *actor.PID) *Mailbox {
	q := new(identify)
	if p, ok := as.ProcessRegistry.Get(pid); ok {
		p.SendSystemMessage(pid, q)
	}
	return q.m
}

// Receive implements actor.Actor.
func (h *shell) Receive(c actor.Context) {
	if h.m == nil {
		h.reincarnate(c)
	}
	if h.m.lifecycle {
		h.receiveLifecycle(c)
		return
	}
	h.actor.Receive(c)
}

// HandleFailure implements actor.SupervisorStrategy for the actor's children.
func (h *shell) HandleFailure(as *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, msg any,
) {
	strategy := stopFailed
	if own, ok := h.actor.(actor.SupervisorStrategy); ok {
		strategy = own
	} else if h.m.spec.Supervisor != nil {
		strategy = h.m.spec.Supervisor
	}
	strategy.HandleFailure(as, sup, child, rs, reason, msg)
}

// reincarnate takes the place of the shell before a restart.
func (h *shell) reincarnate(c actor.Context) {
	m := mailboxOf(c.ActorSystem(), c.Self())
	h.m, h.actor = m, m.shell.Load().actor
	if r := m.rest.Load(); r != nil && r.produce != nil {
		h.actor = r.produce()
	}
	m.shell.Store(h)
}

// receiveLifecycle delivers what protoactor sends on its own. A panic during
// the way out must not end that way: protoactor would neither finish the stop
// nor tell the parent, which then waits for ever.
func (h *shell) receiveLifecycle(c actor.Context) {
	m := h.m
	switch c.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		m.guarded(func() { h.actor.Receive(c) }, c.Message())
	case *actor.Stopped:
		m.gone = true
		m.guarded(func() { h.actor.Receive(c) }, c.Message())
		// Before the parent is told: when a parent is gone, so is all below it.
		m.guarded(m.finish, c.Message())
		m.probe().end()
	case *actor.Terminated:
		if m.stopping {
			m.guarded(func() { h.actor.Receive(c) }, c.Message())
			return
		}
		h.actor.Receive(c)
	default:
		h.actor.Receive(c)
	}
}

func (m *Mailbox) guarded(step func(), msg any) {
	defer func() {
		if r := recover(); r != nil {
			p := newPanic(r)
			m.probe().recordFailure(p, msg)
			publishFailure(m.system, m.self, p, actor.StopDirective)
		}
	}()
	step()
}

// finish makes dead letters of what is left once the actor is gone.
func (m *Mailbox) finish() {
	m.mu.Lock()
	m.state.Or(stopped)
	m.state.And(^userQueue)
	rest := append(m.out[m.taken:len(m.out):len(m.out)], m.in...)
	m.out, m.in, m.taken = nil, nil, 0
	m.dequeued.Add(uint64(len(rest)))
	if len(rest) > 0 {
		m.rare().leftover.Store(uint64(len(rest)))
		m.rare().bytes.Store(0)
	}
	m.mu.Unlock()
	if m.home != nil && m.home.linger != nil {
		m.home.linger.Stop()
	}
	if t := m.spec.Table; t != nil {
		t.Remove(m.probe())
	}
	for _, it := range rest {
		m.deadLetter(it.msg)
	}
}

// depart lets go of the actor and its context. Who holds a Ref, a Probe or a PID
// keeps no more alive than the mailbox: protoactor's sets of children hold the
// PIDs of those that are gone until others take their place.
func (m *Mailbox) depart() {
	if v := m.view.Load(); v != nil {
		m.shown.Store(intern((*v).ProbeState()))
		if d := (*v).ProbeDetail(); d != nil {
			m.probe().SetDetail(d)
		}
		m.view.Store(nil)
	}
	m.shell.Store(nil)
	m.invoker = (*departed)(m)
}

// departed takes the place of the context of an actor that is gone.
type departed Mailbox

// InvokeUserMessage implements actor.MessageInvoker.
func (d *departed) InvokeUserMessage(any) {}

// EscalateFailure implements actor.MessageInvoker.
func (d *departed) EscalateFailure(any, any) {}

// InvokeSystemMessage implements actor.MessageInvoker: who watches the actor
// hears that it is gone.
func (d *departed) InvokeSystemMessage(msg any) {
	w, ok := msg.(*actor.Watch)
	if !ok {
		return
	}
	if to, ok := d.system.ProcessRegistry.Get(w.Watcher); ok {
		to.SendSystemMessage(w.Watcher, &actor.Terminated{Who: d.self})
	}
}

// deadLetter publishes a message that nobody will handle.
func (m *Mailbox) deadLetter(msg any) {
	m.rare().dead.Add(1)
	if t := m.spec.Table; t != nil {
		t.dead.Add(1)
	}
	if f := m.spec.Undelivered; f != nil {
		f(msg)
	}
	m.system.DeadLetter.SendUserMessage(m.self, msg)
}
