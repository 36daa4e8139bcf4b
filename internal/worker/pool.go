// Package worker runs items on goroutines that are used again.
//
// Submit only queues an item, so it may be called on an actor's turn. At most
// one worker is being woken at a time; a worker that takes an item while more
// are queued wakes the next one before it runs its own. So a burst of short
// items runs back to back on few warm stacks, and an item that blocks strands
// nobody: whoever starts to run has seen to it that somebody else looks at the
// rest.
//
// The worker that became idle last is woken first. Those at the other end of
// the stack end when nobody has needed them for a while.
package worker

import (
	"sync"
	"time"
)

const (
	// linger is how long an idle worker waits before it ends, give or take
	// one round of the sweep.
	linger = 10 * time.Second
	// fresh is after how many items a worker hands over to a new goroutine:
	// a stack that one deep item has grown is not kept forever.
	fresh = 1 << 16
)

// Pool runs items. Make one with New.
type Pool[T any] struct {
	run  func(T)
	keep int

	mu      sync.Mutex
	queue   ring[T]
	idle    []*worker // a stack: the last one is the warmest
	waking  bool      // a worker is on its way to the queue
	closed  bool
	live    int
	round   uint32 // of the sweep
	sweeper *time.Timer
	armed   bool
}

// worker is one goroutine's place in the pool.
type worker struct {
	wake    chan struct{} // Edge: an idle worker waits here
	called  bool          // woken for work: the pool's waking stands for it
	retired bool
	since   uint32 // round in which it became idle
	items   int
}

// New makes a pool whose workers call run. At most keep idle workers are kept;
// 0 is no limit.
func New[T any](keep int, run func(T)) *Pool[T] {
	return &Pool[T]{run: run, keep: keep}
}

// Submit queues an item. It never blocks.
func (p *Pool[T]) Submit(item T) {
	p.mu.Lock()
	p.queue.push(item)
	if p.waking {
		p.mu.Unlock()
		return
	}
	w := p.call()
	p.mu.Unlock()
	p.start(w)
}

// call chooses who looks at the queue next; the lock is held. Nil stands for a
// new worker.
func (p *Pool[T]) call() *worker {
	p.waking = true
	n := len(p.idle) - 1
	if n < 0 {
		p.live++
		return nil
	}
	w := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	w.called = true
	return w
}

func (p *Pool[T]) start(w *worker) {
	if w == nil {
		go p.work(&worker{wake: make(chan struct{}, 1), called: true})
		return
	}
	w.wake <- struct{}{}
}

// work is a worker's life.
func (p *Pool[T]) work(w *worker) {
	normal := false
	defer func() {
		if !normal { // the item ended its goroutine
			p.mu.Lock()
			p.live--
			p.mu.Unlock()
		}
	}()
	for {
		item, next := p.take(w)
		switch next {
		case run:
			p.run(item)
		case wait:
			<-w.wake
		case renew:
			normal = true
			go p.work(&worker{wake: w.wake})
			return
		case end:
			normal = true
			return
		}
	}
}

// step is what a worker does next.
type step uint8

const (
	run step = iota
	wait
	renew
	end
)

// take finds w something to do.
func (p *Pool[T]) take(w *worker) (item T, next step) {
	p.mu.Lock()
	if w.called {
		w.called, p.waking = false, false
	}
	if w.retired || p.queue.len() == 0 {
		next = p.rest(w)
		p.mu.Unlock()
		return item, next
	}
	if w.items == fresh {
		p.mu.Unlock()
		return item, renew
	}
	w.items++
	item = p.queue.pop()
	if p.queue.len() == 0 || p.waking {
		p.mu.Unlock()
		return item, run
	}
	other := p.call()
	p.mu.Unlock()
	p.start(other)
	return item, run
}

// rest makes w idle, or ends it; the lock is held.
func (p *Pool[T]) rest(w *worker) step {
	if w.retired || p.closed || p.keep > 0 && len(p.idle) >= p.keep {
		p.live--
		return end
	}
	w.since = p.round
	p.idle = append(p.idle, w)
	p.sweepLater()
	return wait
}

func (p *Pool[T]) sweepLater() {
	if p.armed {
		return
	}
	p.armed = true
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(linger, p.sweep)
		return
	}
	p.sweeper.Reset(linger)
}

// sweep ends the workers that were idle for a whole round.
func (p *Pool[T]) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	n := 0
	for n < len(p.idle) && p.idle[n].since != p.round {
		n++
	}
	p.retire(n)
	p.round++
	if len(p.idle) > 0 && !p.closed {
		p.sweepLater()
	}
}

// retire ends the n coldest workers; the lock is held.
func (p *Pool[T]) retire(n int) {
	for _, w := range p.idle[:n] {
		w.retired = true
		w.wake <- struct{}{} // its room is free: nobody else has called it
	}
	left := copy(p.idle, p.idle[n:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
}

// Close ends the idle workers, and each busy one when it finds nothing more to
// do. Items that are queued, or come later, are still run.
func (p *Pool[T]) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.retire(len(p.idle))
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
}

// Stats is a pool as of now.
type Stats struct {
	Workers int // goroutines
	Idle    int // of them without work
	Queued  int // items that no worker has taken yet
}

// Stats counts.
func (p *Pool[T]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Workers: p.live, Idle: len(p.idle), Queued: p.queue.len()}
}
