package actors

import (
	"math"
	"sync/atomic"
	"time"
)

// residence is what a Resident mailbox has beyond the others.
type residence struct {
	wake chan struct{} // one token per time the parked mailbox is taken

	// owner
	alive  bool // the goroutine exists
	quit   bool // it was woken to end
	fresh  bool // something was handled since Drained was called
	linger *time.Timer

	idleAt atomic.Uint64 // messages handled when linger fired last
}

func (m *Mailbox) startResident() {
	if m.home.alive {
		m.home.wake <- struct{}{} // never blocks: one token per acquisition
		return
	}
	m.home.alive = true
	go m.reside()
}

// reside is the actor's goroutine. It owns the mailbox from each wake to the
// release at the end of drain.
func (m *Mailbox) reside() {
	m.armLinger()
	for m.drain(unlimited) != ended {
		<-m.home.wake
	}
}

// lookAgain asks the actor whether it wants another look at its queue.
func (m *Mailbox) lookAgain(s uint64) bool {
	h := m.home
	if !h.fresh || m.spec.Drained == nil || s&(suspended|stopped) != 0 {
		return false
	}
	h.fresh = false
	h.fresh = m.spec.Drained()
	return h.fresh
}

// leaving decides, before the mailbox is released, whether its goroutine ends.
func (m *Mailbox) leaving(s uint64) bool {
	h := m.home
	if s&stopped == 0 && !h.quit {
		return false
	}
	h.quit = false
	h.alive = false
	if m.taken == len(m.out) {
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
func (m *Mailbox) stay(s uint64) {
	m.home.alive = true
	m.home.quit = s&stopped == 0
}

// armLinger starts the watch that ends an idle goroutine. Parking itself costs
// no timer operation: the watch looks from time to time whether anything was
// handled since it looked last.
func (m *Mailbox) armLinger() {
	h := m.home
	if m.spec.Linger <= 0 {
		return
	}
	if h.linger == nil {
		h.linger = time.AfterFunc(math.MaxInt64, m.lingered)
	}
	h.idleAt.Store(math.MaxUint64)
	h.linger.Reset(m.spec.Linger)
}

func (m *Mailbox) lingered() {
	h := m.home
	s := m.state.Load()
	if s&stopped != 0 {
		return
	}
	handled := m.dequeued.Load()
	idle := s&running == 0 && h.idleAt.Swap(handled) == handled
	if idle && m.state.CompareAndSwap(s, s|running) {
		h.quit = true
		h.wake <- struct{}{}
		return
	}
	h.linger.Reset(m.spec.Linger)
}
