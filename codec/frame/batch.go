package frame

import "sync"

// BatchCap is how many frames one batch takes before the reader hands it on.
const BatchCap = 64

// Batch is what one socket read yielded, in wire order.
type Batch struct {
	Frames []Frame
}

var batchPool = sync.Pool{New: func() any { return &Batch{Frames: make([]Frame, 0, BatchCap)} }}

// NewBatch takes an empty Batch from the pool.
func NewBatch() *Batch { return batchPool.Get().(*Batch) }

// Free gives b back; the frames in it have been passed on or freed.
func (b *Batch) Free() {
	clear(b.Frames)
	b.Frames = b.Frames[:0]
	batchPool.Put(b)
}

// Discard frees the frames in b that nobody has passed on, and what they own.
func (b *Batch) Discard() {
	for _, f := range b.Frames {
		Discard(f)
	}
	clear(b.Frames)
	b.Frames = b.Frames[:0]
}

// Discard frees a frame that its owner has no use for, and what it owns.
func Discard(f Frame) {
	switch f := f.(type) {
	case *Data:
		if f.Message != nil {
			f.Message.Release()
		}
		f.Free()
	case *Headers:
		f.Free()
	case *WindowUpdate:
		f.Free()
	case *RSTStream:
		f.Free()
	}
}
