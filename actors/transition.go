package actors

import "time"

// Transition is one change of an actor's state and the message that caused it.
type Transition struct {
	At           time.Time
	From, To, On string
}

// ringSize is how many transitions an actor remembers.
const ringSize = 16

// ring keeps the newest transitions.
type ring struct {
	entries [ringSize]Transition
	n       uint64
}

func (r *ring) add(t Transition) {
	r.entries[r.n%ringSize] = t
	r.n++
}

func (r *ring) list() []Transition {
	if r == nil {
		return nil
	}
	first := r.n - min(r.n, ringSize)
	list := make([]Transition, 0, r.n-first)
	for i := first; i < r.n; i++ {
		list = append(list, r.entries[i%ringSize])
	}
	return list
}
