package policy

import "math/bits"

// counterTable finds the counter of a subchannel on the path of an RPC, several
// times faster than a map does: open addressing by ID, at most half full. It is
// not changed after it is made.
type counterTable struct {
	slots []counterSlot
	shift int
}

type counterSlot struct {
	sub   *Subchannel // nil: empty
	calls *callCounter
}

// newCounterTable makes a table of those that belong to an endpoint.
func newCounterTable(of []*watched) *counterTable {
	width := bits.Len(uint(2 * len(of)))
	t := &counterTable{slots: make([]counterSlot, 1<<width), shift: 64 - width}
	for _, w := range of {
		if w.of == nil {
			continue
		}
		i := t.home(w.sub)
		for t.slots[i].sub != nil {
			i = (i + 1) & (len(t.slots) - 1)
		}
		t.slots[i] = counterSlot{w.sub, w.of.calls}
	}
	return t
}

// home is where the search for s begins: a multiple of the golden ratio spreads
// IDs, which count up.
func (t *counterTable) home(s *Subchannel) int {
	return int(s.ID * 0x9E3779B97F4A7C15 >> t.shift)
}

// find is the counter of s, or nil if it has none.
func (t *counterTable) find(s *Subchannel) *callCounter {
	if s == nil {
		return nil
	}
	for i := t.home(s); ; i = (i + 1) & (len(t.slots) - 1) {
		if slot := &t.slots[i]; slot.sub == s || slot.sub == nil {
			return slot.calls
		}
	}
}
