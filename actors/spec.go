package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Spec describes a kind of actor. One Spec serves any number of actors and is
// not changed once the first was spawned.
type Spec struct {
	// Kind names the kind in inspection: "conn", "reader", "stream".
	Kind string
	// Mode says which goroutine runs the actor.
	Mode Mode
	// Linger lets a Resident goroutine end once the actor has been idle for
	// one to two times this long; the next post starts it again. 0 keeps it.
	Linger time.Duration
	// Drained is called on a Resident actor's goroutine when it has emptied
	// its queue and is about to park. True makes it look at the queue again.
	Drained func() (again bool)
	// Supervisor decides about failures of the actor's children unless the
	// actor itself implements actor.SupervisorStrategy. Nil stops the child.
	Supervisor actor.SupervisorStrategy
	// Table lists the actor while it lives. Optional.
	Table *Table
	// Size gives the bytes a queued message stands for. Called on the sender's
	// goroutine, only for messages that have to wait. Optional.
	Size func(msg any) int
	// Describe gives the detail shown of a queued message: short and without
	// payload. It runs while the mailbox is held, so it must neither block nor
	// post. Optional.
	Describe func(msg any) string
	// Undelivered is called for a message that no longer reaches the actor
	// because it has stopped, before it becomes a dead letter: whoever waits for
	// an answer to it can be told. It runs on the goroutine of the sender or of
	// the stopping actor. Optional.
	Undelivered func(msg any)
}
