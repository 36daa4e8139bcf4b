package buffer

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Large buffers are kept on shelves of their own. A sync.Pool gives up what it
// holds with every second collection, and messages of this size make
// collections frequent: the pool would be empty whenever it is asked, and every
// message pay for fresh, cleared memory.
//
// A shelf keeps what is in use from time to time and lets go of the rest: with
// each collection it drops half of what nobody has wanted since the one before.
const largeTotal = 32 << 20 // octets on all shelves together

type shelf struct {
	mu   sync.Mutex
	free []*Buffer // last in, first out
	low  int       // the fewest there were since the last collection
}

var (
	shelves [classes]shelf
	shelved atomic.Int64
	watch   sync.Once
)

// take returns a buffer of the shelf, or nil.
func (s *shelf) take() *Buffer {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return nil
	}
	b := s.free[n-1]
	s.free[n-1] = nil
	s.free = s.free[:n-1]
	s.low = min(s.low, n-1)
	shelved.Add(-int64(len(b.full)))
	return b
}

// put keeps b if there is room.
func (s *shelf) put(b *Buffer) {
	watch.Do(watchCollections)
	size := int64(len(b.full))
	if shelved.Add(size) > largeTotal {
		shelved.Add(-size)
		return
	}
	s.mu.Lock()
	s.free = append(s.free, b)
	s.mu.Unlock()
}

// trim drops half of what was not wanted since the last trim.
func (s *shelf) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	drop := (s.low + 1) / 2
	for i := range drop {
		shelved.Add(-int64(len(s.free[i].full)))
	}
	s.free = append(s.free[:0], s.free[drop:]...)
	clear(s.free[len(s.free) : len(s.free)+drop])
	s.low = len(s.free)
}

// sentinel is dropped at once, so that each collection finds it and calls us.
type sentinel struct{ _ [16]byte }

func watchCollections() { runtime.SetFinalizer(&sentinel{}, collected) }

func collected(*sentinel) {
	for i := range shelves {
		if i >= firstLarge {
			shelves[i].trim()
		}
	}
	watchCollections()
}
