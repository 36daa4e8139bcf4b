package actors

import (
	"fmt"
	"math/bits"
)

// firstChunk is the size of the first chunk of slots; each further one doubles.
const (
	firstChunkBits = 3
	firstChunk     = 1 << firstChunkBits
)

// Slots is a pool of values that are used again and again by their index. It
// has one owner. A value stays where it is, so pointers to it remain good, and
// keeps its content when it is freed. The zero Slots is ready.
type Slots[T any] struct {
	chunks [][]slot[T]
	free   []int32 // last in, first out: the warmest slot comes next
	used   int
	size   int
}

type slot[T any] struct {
	v     T
	taken bool
}

// Take gives a free slot, the one freed last if there is one.
func (s *Slots[T]) Take() (int32, *T) {
	if len(s.free) == 0 {
		s.grow()
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	sl := s.slot(i)
	sl.taken = true
	s.used++
	return i, &sl.v
}

// Free gives a slot back. It panics if the slot is not taken.
func (s *Slots[T]) Free(i int32) {
	sl := s.slot(i)
	if !sl.taken {
		panic(fmt.Sprintf("actors: slot %d is freed but not taken", i))
	}
	sl.taken = false
	s.used--
	s.free = append(s.free, i)
}

// At gives the value of a slot, taken or not. The index must be below Cap.
func (s *Slots[T]) At(i int32) *T { return &s.slot(i).v }

// Taken reports whether a slot is in use; false for an index out of range.
func (s *Slots[T]) Taken(i int32) bool {
	return i >= 0 && int(i) < s.size && s.slot(i).taken
}

// Len is the number of slots in use.
func (s *Slots[T]) Len() int { return s.used }

// Cap is the number of slots there are.
func (s *Slots[T]) Cap() int { return s.size }

// Each visits the slots in use by index until yield returns false. Slots may
// be freed during the visit.
func (s *Slots[T]) Each(yield func(int32, *T) bool) {
	for i := range int32(s.size) {
		if sl := s.slot(i); sl.taken && !yield(i, &sl.v) {
			return
		}
	}
}

// slot finds index i: chunk k starts at firstChunk*(2^k - 1).
func (s *Slots[T]) slot(i int32) *slot[T] {
	j := uint32(i) + firstChunk
	k := bits.Len32(j) - 1
	return &s.chunks[k-firstChunkBits][j-1<<k]
}

func (s *Slots[T]) grow() {
	n := firstChunk << len(s.chunks)
	s.chunks = append(s.chunks, make([]slot[T], n))
	for i := s.size + n - 1; i >= s.size; i-- {
		s.free = append(s.free, int32(i))
	}
	s.size += n
}
