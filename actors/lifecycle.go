package actors

import "github.com/asynkron/protoactor-go/actor"

// shell is the actor protoactor sees. It passes user messages through and
// guards the lifecycle ones.
type shell struct{ m *Mailbox }

// Receive implements actor.Actor.
func (h shell) Receive(c actor.Context) {
	if h.m.lifecycle {
		h.m.receiveLifecycle(c)
		return
	}
	h.m.actor.Receive(c)
}

// HandleFailure implements actor.SupervisorStrategy for the actor's children.
func (h shell) HandleFailure(as *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, msg any,
) {
	strategy := stopFailed
	if own, ok := h.m.actor.(actor.SupervisorStrategy); ok {
		strategy = own
	} else if h.m.spec.Supervisor != nil {
		strategy = h.m.spec.Supervisor
	}
	strategy.HandleFailure(as, sup, child, rs, reason, msg)
}

// incarnate is the producer: it runs at the spawn and at every restart.
func (m *Mailbox) incarnate() actor.Actor {
	m.actor = m.produce()
	return shell{m}
}

// receiveLifecycle delivers what protoactor sends on its own. A panic during
// the way out must not end that way: protoactor would neither finish the stop
// nor tell the parent, which then waits for ever.
func (m *Mailbox) receiveLifecycle(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		m.guarded(func() { m.actor.Receive(c) }, c.Message())
	case *actor.Stopped:
		m.gone = true
		m.guarded(func() { m.actor.Receive(c) }, c.Message())
		// Before the parent is told: when a parent is gone, so is all below it.
		m.guarded(m.finish, c.Message())
		m.probe.end()
	case *actor.Terminated:
		if m.stopping {
			m.guarded(func() { m.actor.Receive(c) }, c.Message())
			return
		}
		m.actor.Receive(c)
	default:
		m.actor.Receive(c)
	}
}

func (m *Mailbox) guarded(step func(), msg any) {
	defer func() {
		if r := recover(); r != nil {
			p := newPanic(r)
			m.probe.recordFailure(p, msg)
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
	m.leftover.Store(uint64(len(rest)))
	m.dequeued.Add(uint64(len(rest)))
	m.bytes.Store(0)
	m.mu.Unlock()
	if m.home != nil && m.home.linger != nil {
		m.home.linger.Stop()
	}
	if t := m.spec.Table; t != nil {
		t.Remove(&m.probe)
	}
	for _, it := range rest {
		m.deadLetter(it.msg)
	}
}

// deadLetter publishes a message that nobody will handle.
func (m *Mailbox) deadLetter(msg any) {
	m.dead.Add(1)
	if t := m.spec.Table; t != nil {
		t.dead.Add(1)
	}
	if f := m.spec.Undelivered; f != nil {
		f(msg)
	}
	m.system.DeadLetter.SendUserMessage(m.self, msg)
}
