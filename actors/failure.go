package actors

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// errGoexit is the failure of an actor that ended its goroutine.
var errGoexit = errors.New("runtime.Goexit was called in Receive")

// Panic is the reason of a failure: what the actor panicked with, and where.
type Panic struct {
	Value any
	Stack []byte
}

func newPanic(v any) *Panic { return &Panic{Value: v, Stack: debug.Stack()} }

// Error gives the value without the stack.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %.200v", p.Value) }

// Unwrap gives the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Failure is what an actor failed with last.
type Failure struct {
	At      time.Time
	Reason  *Panic
	Message string // type of the message that was being handled
}

// failed reports a panic to the supervisor. The mailbox stays owned; the
// suspension that protoactor posts to it is handled before any user message.
func (m *Mailbox) failed(v, msg any) {
	m.lifecycle = false
	goexit := v == nil
	if goexit {
		v = errGoexit
	}
	p := newPanic(v)
	m.probe().recordFailure(p, msg)
	m.escalate(p, msg)
	if goexit {
		// This stack unwinds to its end; somebody has to go on.
		switch {
		case m.visiting: // another's stack: the actor's goroutine is there, or nobody is
			m.visiting = false
			m.startResident()
		case m.mode == Resident:
			go m.home.reside()
		default:
			go m.drain(unlimited)
		}
	}
}

func (m *Mailbox) escalate(p *Panic, msg any) {
	defer func() {
		// A guardian panics when asked to escalate, and a supervisor's hook
		// may: the sender whose stack this is must not pay for it.
		if recover() != nil {
			m.PostSystemMessage(stopRequest)
		}
	}()
	m.invoker.EscalateFailure(p, msg)
}
