package actors

import (
	"math"
	"sync/atomic"
	"time"
)

// residence is the goroutine of a Resident mailbox. It goes with the goroutine:
// an idle actor has none.
type residence struct {
	m      *Mailbox
	wake   chan struct{} // one token per time the parked mailbox is taken
	quit   bool          // owner: it was woken to end
	linger *time.Timer
	idleAt atomic.Uint64 // messages handled when linger fired last
}

func (m *Mailbox) startResident() {
	if m.home != nil {
		m.home.wake <- struct{}{} // never blocks: one token per acquisition
		return
	}
	m.home = &residence{m: m, wake: make(chan struct{}, 1)}
	go m.home.reside()
}

// reside is the actor's goroutine. It owns the mailbox from each wake to the
// release at the end of drain.
func (h *residence) reside() {
	h.armLinger()
	for h.m.drain(unlimited) != ended {
		<-h.wake
	}
}

// visit runs one message of a Resident actor on the sender's stack. Unless that
// was all, the actor's own goroutine goes on.
func (m *Mailbox) visit(idle uint64, msg any) {
	m.visiting = true
	m.deliver(msg)
	m.fresh = true
	// One that has panicked is about to be suspended: no more of it until then.
	if m.state.Load()&(sysQueue|suspended|stopped) == 0 {
		m.fresh = !m.visited()
	}
	m.visiting = false
	if m.fresh || !m.state.CompareAndSwap(idle+running, idle) {
		m.startResident()
	}
}

// visited asks the actor whether its visitor has done everything.
func (m *Mailbox) visited() (all bool) {
	ok := false
	defer func() {
		if !ok {
			m.failed(recover(), nil)
		}
	}()
	all = m.spec.Visit.Visited(m.shell.Load().actor)
	ok = true
	return all
}

// lookAgain asks the actor whether it wants another look at its queue.
func (m *Mailbox) lookAgain(s uint64) bool {
	if !m.fresh || m.spec.Drained == nil || s&(suspended|stopped) != 0 {
		return false
	}
	m.fresh = false
	m.fresh = m.spec.Drained(m.shell.Load().actor)
	return m.fresh
}

// leaving decides, before the mailbox is released, whether its goroutine ends.
func (m *Mailbox) leaving(s uint64) bool {
	if s&stopped == 0 && !m.home.quit {
		return false
	}
	m.home = nil
	if int(m.taken) == len(m.out) {
		m.mu.Lock()
		m.out, m.taken = nil, 0
		if len(m.in) == 0 {
			m.in = nil
		}
		m.mu.Unlock()
	}
	return true
}

// stay takes leaving back.
func (m *Mailbox) stay(s uint64, h *residence) {
	m.home = h
	h.quit = s&stopped == 0
}

// armLinger starts the watch that ends an idle goroutine. Parking itself costs
// no timer operation: the watch looks from time to time whether anything was
// handled since it looked last.
func (h *residence) armLinger() {
	d := h.m.spec.Linger
	if d <= 0 {
		return
	}
	if h.linger == nil {
		h.linger = time.AfterFunc(math.MaxInt64, h.lingered)
	}
	h.idleAt.Store(math.MaxUint64)
	h.linger.Reset(d)
}

func (h *residence) lingered() {
	m := h.m
	s := m.state.Load()
	if s&stopped != 0 {
		return
	}
	handled := m.sequence(s)
	idle := s&running == 0 && h.idleAt.Swap(handled) == handled
	if idle && m.state.CompareAndSwap(s, s|running) {
		h.quit = true
		h.wake <- struct{}{}
		return
	}
	h.linger.Reset(m.spec.Linger)
}
