package worker

// ring is a queue. Its room is a power of two and grows with what is queued.
type ring[T any] struct {
	slots []T
	head  int // of the oldest
	n     int
}

const (
	ringFirst = 64
	ringKeep  = 4096 // more room than this is given back when the queue is empty
)

func (r *ring[T]) len() int { return r.n }

func (r *ring[T]) push(v T) {
	if r.n == len(r.slots) {
		r.grow()
	}
	r.slots[(r.head+r.n)&(len(r.slots)-1)] = v
	r.n++
}

func (r *ring[T]) pop() T {
	var none T
	v := r.slots[r.head]
	r.slots[r.head] = none
	r.head = (r.head + 1) & (len(r.slots) - 1)
	r.n--
	if r.n == 0 && len(r.slots) > ringKeep {
		*r = ring[T]{}
	}
	return v
}

func (r *ring[T]) grow() {
	slots := make([]T, max(ringFirst, 2*len(r.slots)))
	k := copy(slots, r.slots[r.head:])
	copy(slots[k:], r.slots[:r.head])
	r.slots, r.head = slots, 0
}
