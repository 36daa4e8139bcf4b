package actors

import "math"

// Mode says which goroutine runs an actor.
type Mode uint8

const (
	// Inline runs an idle actor on the goroutine of whoever posts to it. After
	// 16 messages on one foreign stack the rest is handed to a goroutine, so
	// that a sender is not held up by what others send.
	Inline Mode = iota
	// Goroutine starts a goroutine when an idle actor gets a message; it ends
	// when the queue is empty. For actors that may block in Receive.
	Goroutine
	// Resident keeps one goroutine that drains the queue in batches and parks
	// between them. For actors that profit from seeing much at once.
	Resident
)

func (d Mode) String() string {
	switch d {
	case Inline:
		return "inline"
	case Goroutine:
		return "goroutine"
	case Resident:
		return "resident"
	default:
		return "unknown"
	}
}

const (
	// foreignLimit bounds the messages run on a stack that is not the actor's.
	foreignLimit int32 = 16
	// unlimited is for goroutines that belong to the actor. An Inline one whose
	// goroutine has run that many gets another.
	unlimited = math.MaxInt32
)
