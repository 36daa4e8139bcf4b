package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Spec describes a kind of actor. One Spec serves any number of actors, which
// is cheaper than one each, and is not changed once the first was spawned.
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
	Drained func(a actor.Actor) (again bool)
	// Visit lets a sender run an idle Resident actor on its own goroutine: May
	// says whether it should handle msg there, Visited follows the handling and
	// takes Drained's place. False from Visited hands the actor to its own
	// goroutine, as does whatever came in meanwhile. Neither may block: the
	// sender may be another actor on its turn. Optional.
	Visit Visit
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

	props atomic.Pointer[actor.Props]
}

// Visit is how a Resident actor is run by its senders.
type Visit struct {
	May     func(a actor.Actor, msg any) bool // asked before the mailbox is taken: atomics only
	Visited func(a actor.Actor) bool          // asked by whoever has it
}
