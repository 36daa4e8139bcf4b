package actors

import "time"

// Transition is one change of an actor's state and the message that caused it.
type Transition struct {
	At           time.Time
	From, To, On string
}

// ringSize is how many transitions an actor remembers.
const ringSize = 16

// ring keeps the newest transitions. It grows with what is recorded: most
// actors change state a few times in their life.
type ring struct {
	entries []Transition
	next    int // where the next one goes, once the ring is full
}

func (r *ring) add(t Transition) {
	if len(r.entries) < ringSize {
		r.entries = append(r.entries, t)
		return
	}
	r.entries[r.next] = t
	r.next = (r.next + 1) % ringSize
}

func (r *ring) list() []Transition {
	if r == nil {
		return nil
	}
	list := make([]Transition, 0, len(r.entries))
	list = append(list, r.entries[r.next:]...)
	return append(list, r.entries[:r.next]...)
}
