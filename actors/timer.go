package actors

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Timer tells an actor that a time has come. Its function runs on a goroutine
// of the runtime and only posts a message that carries the generation; the
// actor drops the message unless the generation is still current:
//
//	t := actors.NewTimer(func(gen uint64) { self.Tell(&expired{gen}) })
//	t.Reset(time.Second)
//	...
//	case *expired:
//		if t.Current(msg.gen) { ... }
//
// Reset, Stop and Current belong to the actor. Moving the deadline further
// away, and stopping, do not touch the runtime's timer: a deadline per RPC on
// a reused slot costs a clock reading.
type Timer struct {
	fire func(gen uint64)
	gen  atomic.Uint64

	mu       sync.Mutex
	armed    bool
	deadline stamp
	wakes    stamp // when the runtime's timer fires; never if it is not set
	rt       *time.Timer
}

const never = stamp(math.MaxInt64)

// NewTimer returns a stopped timer.
func NewTimer(fire func(gen uint64)) *Timer { return &Timer{fire: fire, wakes: never} }

// Reset lets the timer fire once after d, instead of whatever it was set to.
func (t *Timer) Reset(d time.Duration) {
	now := clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gen.Add(1) // under the lock: a firing takes generation and deadline together
	t.armed = true
	t.deadline = now + stamp(max(d, 0))
	if t.deadline < now {
		t.deadline = never - 1
	}
	if t.deadline < t.wakes {
		t.wakeAt(t.deadline, now)
	}
}

// Stop makes what was set, and what has fired but not arrived, void.
func (t *Timer) Stop() {
	t.mu.Lock()
	t.gen.Add(1)
	t.armed = false
	t.mu.Unlock()
}

// Close is Stop and gives the runtime's timer back at once, for an actor that
// ends. The timer may be set again.
func (t *Timer) Close() {
	t.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rt != nil {
		t.rt.Stop()
	}
	t.wakes = never
}

// Current reports whether a fired generation is the one set last.
func (t *Timer) Current(gen uint64) bool { return t.gen.Load() == gen }

func (t *Timer) wakeAt(at, now stamp) {
	t.wakes = at
	if t.rt == nil {
		t.rt = time.AfterFunc(time.Duration(at-now), t.wake)
		return
	}
	t.rt.Reset(time.Duration(at - now))
}

// wake decides by the deadline, not by having been called: the call may belong
// to a time that has been moved since.
func (t *Timer) wake() {
	t.mu.Lock()
	now := clock()
	if !t.armed {
		if t.wakes <= now {
			t.wakes = never
		}
		t.mu.Unlock()
		return
	}
	if now < t.deadline {
		if t.wakes <= now {
			t.wakeAt(t.deadline, now)
		}
		t.mu.Unlock()
		return
	}
	t.armed = false
	if t.wakes <= now {
		t.wakes = never
	}
	gen := t.gen.Load()
	t.mu.Unlock()
	t.fire(gen)
}
