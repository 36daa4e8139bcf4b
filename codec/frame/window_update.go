package frame

import "sync"

// WindowUpdate grants the receiver more window (RFC 9113 6.9). StreamID 0 is
// the connection's window. Slot is filled by the connection before the frame
// goes on to loopy; the wire knows nothing of it.
type WindowUpdate struct {
	StreamID  StreamID
	Slot      SlotIndex
	Increment uint32
}

func (*WindowUpdate) frame()   {}
func (*WindowUpdate) control() {}

var windowUpdatePool = sync.Pool{New: func() any { return new(WindowUpdate) }}

// NewWindowUpdate takes a WindowUpdate from the pool.
func NewWindowUpdate(id StreamID, slot SlotIndex, n uint32) *WindowUpdate {
	w := windowUpdatePool.Get().(*WindowUpdate)
	*w = WindowUpdate{StreamID: id, Slot: slot, Increment: n}
	return w
}

// Free gives w back.
func (w *WindowUpdate) Free() { windowUpdatePool.Put(w) }
