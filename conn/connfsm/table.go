package connfsm

import (
	"fmt"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// slot is one reusable place for a live stream.
type slot struct {
	id       frame.StreamID // 0: free
	held     int            // octets of the connection's window this stream has not given back
	readable int            // those of them that belong to whole messages
	ended    bool           // the peer sent END_STREAM
	reset    bool           // the peer sent RST_STREAM
	gone     bool           // the stream was told that it is lost
	void     bool           // no message of it will be complete any more: what still arrives is given back at once
}

// table maps live streams to slots. Slots are reused last in, first out, so a
// connection with few streams at a time touches few of them.
type table struct {
	slots []slot
	free  []frame.SlotIndex
	ids   index
	past  past
	live  int
	peak  int
	total uint64
}

// take gives id a slot.
func (t *table) take(id frame.StreamID) frame.SlotIndex {
	var s frame.SlotIndex
	if n := len(t.free); n > 0 {
		s, t.free = t.free[n-1], t.free[:n-1]
	} else {
		s = frame.SlotIndex(len(t.slots))
		t.slots = append(t.slots, slot{})
	}
	t.slots[s] = slot{id: id}
	t.ids.put(id, s)
	t.live++
	t.peak = max(t.peak, t.live)
	t.total++
	return s
}

// find returns the slot of a live stream, or NoSlot.
func (t *table) find(id frame.StreamID) frame.SlotIndex { return t.ids.get(id) }

// at returns the slot that id occupies. Anything else is a mistake of ours.
func (t *table) at(s frame.SlotIndex, id frame.StreamID) *slot {
	if int(s) < 0 || int(s) >= len(t.slots) || t.slots[s].id != id || id == 0 {
		panic(fmt.Sprintf("connfsm: stream %v does not live in slot %d", id, s))
	}
	return &t.slots[s]
}

// release frees a slot.
func (t *table) release(s frame.SlotIndex) {
	t.ids.remove(t.slots[s].id)
	t.slots[s] = slot{}
	t.free = append(t.free, s)
	t.live--
}

// Live says that a stream occupies the slot.
func (m *Machine) Live(s frame.SlotIndex) bool {
	return int(s) < len(m.streams.slots) && m.streams.slots[s].id != 0
}

// Shrink gives back the room of a table that is empty.
func (m *Machine) Shrink() {
	if t := &m.streams; t.live == 0 {
		t.slots, t.free, t.ids = nil, nil, index{}
	}
}

// index is a hash table from stream ids to slots, open-addressed: a frame's
// way to its stream goes through here, and ids of live streams are few, dense
// and never 0.
type index struct {
	cells []cell // a power of two of them, at most three quarters full
	n     int
	shift uint
}

type cell struct {
	id   frame.StreamID // 0: empty
	slot frame.SlotIndex
}

const minCells = 8

// home is where id's search begins (Fibonacci hashing).
func (x *index) home(id frame.StreamID) int { return int(uint32(id) * 2654435769 >> x.shift) }

func (x *index) get(id frame.StreamID) frame.SlotIndex {
	if x.n == 0 || id == 0 {
		return frame.NoSlot
	}
	mask := len(x.cells) - 1
	for i := x.home(id); ; i = (i + 1) & mask {
		switch c := &x.cells[i]; c.id {
		case id:
			return c.slot
		case 0:
			return frame.NoSlot
		}
	}
}

func (x *index) put(id frame.StreamID, s frame.SlotIndex) {
	if x.n >= len(x.cells)/4*3 {
		x.grow()
	}
	mask := len(x.cells) - 1
	i := x.home(id)
	for x.cells[i].id != 0 {
		i = (i + 1) & mask
	}
	x.cells[i] = cell{id, s}
	x.n++
}

// remove takes id out and closes the gap, so that searches need no markers.
func (x *index) remove(id frame.StreamID) {
	mask := len(x.cells) - 1
	i := x.home(id)
	for x.cells[i].id != id {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.cells[j].id != 0; j = (j + 1) & mask {
		// A cell may move into the gap unless its search begins behind the gap.
		if (j-x.home(x.cells[j].id))&mask >= (j-i)&mask {
			x.cells[i] = x.cells[j]
			i = j
		}
	}
	x.cells[i] = cell{}
	x.n--
}

func (x *index) grow() {
	old := x.cells
	size := max(minCells, 2*len(old))
	x.cells = make([]cell, size)
	x.n, x.shift = 0, 32
	for n := size; n > 1; n >>= 1 {
		x.shift--
	}
	for _, c := range old {
		if c.id != 0 {
			x.put(c.id, c.slot)
		}
	}
}
