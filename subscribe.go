package callboard

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// defaultEventLimit is how many events wait for a subscriber.
const defaultEventLimit = 1024

// SubscribeOption configures a Subscription.
type SubscribeOption func(*Subscription)

// WithEventLimit bounds how many events wait while the subscriber is busy.
// Default 1,024, also for n < 1. An event waits in a few hundred octets.
func WithEventLimit(n int) SubscribeOption {
	return func(s *Subscription) {
		if n > 0 {
			s.limit = n
		}
	}
}

// Subscribe calls f with every event of the system from now on, one after the
// other in the order they were published, on a goroutine that exists only while
// there is something to deliver.
//
// f may block, but only a bounded number of events waits for it: what comes
// beyond is dropped and counted, and a Dropped event stands in its place.
// Nobody else is held up. If f panics, the panic is logged and the next event
// is delivered: a watcher that stumbles over one event should see the others.
//
// The subscription ends with Close, or when the system has shut down and f has
// had what was published by then.
func (s *System) Subscribe(f func(Event), opts ...SubscribeOption) *Subscription {
	if f == nil {
		panic("callboard: Subscribe: no function")
	}
	sub := &Subscription{sys: s, f: f, limit: defaultEventLimit, done: make(chan struct{})}
	for _, o := range opts {
		o(sub)
	}
	s.events.enter(sub)
	return sub
}

// Subscription is one subscriber's place in the order of events. Its methods
// may be called from any goroutine.
type Subscription struct {
	sys     *System
	f       func(Event)
	limit   int
	dropped atomic.Uint64

	mu      sync.Mutex
	waiting []arrival // first in, first out, from head on
	head    int
	missed  gap // behind the last of waiting
	running bool
	ended   bool // nothing more is taken
	closed  bool // nothing more is delivered
	over    bool // done is closed
	done    chan struct{}
}

// arrival is an event and what is missing before it.
type arrival struct {
	ev     Event
	missed gap
}

// gap is a row of dropped events.
type gap struct {
	n  uint64
	at time.Time // of the first
}

// Dropped counts the events that were dropped because the subscriber was too
// slow.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Done is closed when the subscription has ended and f has returned for the
// last time.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Close ends the subscription. Events that wait are not delivered. It does not
// wait for f, so f may call it; wait for Done to be sure that f has returned.
// Closing twice does nothing.
func (s *Subscription) Close() {
	s.sys.events.leave(s)
	s.mu.Lock()
	s.ended, s.closed = true, true
	s.waiting, s.head, s.missed = nil, 0, gap{}
	s.finishLocked()
	s.mu.Unlock()
}

// end takes no more events. What waits is still delivered.
func (s *Subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.finishLocked()
	s.mu.Unlock()
}

func (s *Subscription) finishLocked() {
	if !s.over && s.ended && !s.running {
		s.over = true
		close(s.done)
	}
}

// offer takes an event, or notes that it is missing. It never blocks.
func (s *Subscription) offer(ev Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if len(s.waiting)-s.head >= s.limit {
		s.dropped.Add(1)
		if s.missed.n == 0 {
			s.missed.at = ev.When()
		}
		s.missed.n++
	} else {
		s.waiting = append(s.waiting, arrival{ev: ev, missed: s.missed})
		s.missed = gap{}
	}
	if !s.running {
		s.running = true
		// Edge: f is the subscriber's and may block.
		go s.deliver()
	}
}

// next takes what f gets now; nil when there is nothing, and then the goroutine
// ends.
func (s *Subscription) next() Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missed gap
	if s.head == len(s.waiting) {
		s.waiting, s.head = s.waiting[:0], 0
		missed, s.missed = s.missed, gap{}
		if missed.n == 0 {
			s.running = false
			s.finishLocked()
			return nil
		}
		return s.marker(missed)
	}
	a := &s.waiting[s.head]
	if a.missed.n > 0 {
		missed, a.missed = a.missed, gap{}
		return s.marker(missed)
	}
	ev := a.ev
	*a = arrival{}
	s.head++
	if s.head >= s.limit { // what was delivered makes room for what comes
		s.waiting, s.head = slices.Delete(s.waiting, 0, s.head), 0
	}
	return ev
}

func (s *Subscription) marker(g gap) Event {
	return Dropped{Origin: Origin{At: g.at, Actor: s.sys.name}, N: g.n}
}

func (s *Subscription) deliver() {
	whole := false
	defer func() {
		if !whole { // f has ended the goroutine
			go s.deliver()
		}
	}()
	for {
		ev := s.next()
		if ev == nil {
			whole = true
			return
		}
		s.call(ev)
	}
}

func (s *Subscription) call(ev Event) {
	defer func() {
		if v := recover(); v != nil {
			s.sys.log.Error("callboard: panic in a subscriber", "system", s.sys.name, "event", fmt.Sprintf("%T", ev),
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	s.f(ev)
}

// feed is a system's subscribers. Publishing is serialised, so that all of them
// see the same order.
type feed struct {
	sys     *System
	watched atomic.Bool

	mu     sync.Mutex
	subs   []*Subscription
	closed bool
}

func (f *feed) publish(ev Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.subs {
		s.offer(ev)
	}
}

func (f *feed) enter(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		s.end()
		return
	}
	f.subs = append(f.subs, s)
	f.watch()
}

func (f *feed) leave(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.subs, s); i >= 0 {
		f.subs = slices.Delete(f.subs, i, i+1)
		f.watch()
	}
}

// watch makes actors publish while somebody subscribes; the lock is held.
func (f *feed) watch() {
	f.watched.Store(len(f.subs) > 0)
	if len(f.subs) > 0 {
		f.sys.table.Observe(f.sys.observe)
	} else {
		f.sys.table.Observe(nil)
	}
}

// close ends all subscriptions behind what was published.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, s := range f.subs {
		s.end()
	}
	f.subs = nil
	f.watch()
}
