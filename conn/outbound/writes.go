package outbound

import (
	"sync"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// Writes is what one write to the socket carries, and what is known once its
// bytes are taken. The loopy writer has it filled, writes it, and resets it for
// the next round. The zero value is ready for use; an empty Writes holds no
// buffers.
type Writes struct {
	// Head holds the bytes that are not referenced in place. When Segments is
	// empty it is the whole write.
	Head []byte

	// Segments is the write in pieces for writev, if it references payloads:
	// pieces of Head, and payloads between them. The owner may consume it, as
	// net.Buffers does.
	Segments [][]byte

	N            int        // octets to write, referenced payloads included
	DataFrames   int        // DATA frames among them
	HeaderBlocks int        // and header blocks
	Finished     []Ended    // slots that are done with
	Rejected     []Rejected // header blocks the peer would not take

	// Release holds the payloads that are referenced here for the last time.
	// Reset releases them; whoever does so before leaves nil in their place.
	Release []*buffer.Buffer

	refs []reference
	room *room
}

// reference is a slice of a payload that goes on the wire behind Head[:at].
// Head moves while it grows, so its pieces are cut when all of it is there.
type reference struct {
	at int
	p  []byte
}

// room is the memory of a Writes, pooled: connections that have nothing to
// write hold none.
type room struct {
	head     []byte
	segments [][]byte
	finished []Ended
	rejected []Rejected
	release  []*buffer.Buffer
	refs     []reference
}

const (
	roomHead    = 16 << 10  // what a new Head starts with
	largestRoom = 512 << 10 // a Head beyond is not pooled
)

var rooms = sync.Pool{New: func() any { return &room{head: make([]byte, 0, roomHead)} }}

// open gives w memory to be filled with.
func (w *Writes) open() {
	if w.room != nil {
		return
	}
	r := rooms.Get().(*room)
	*w = Writes{
		Head: r.head[:0], Segments: r.segments[:0], Finished: r.finished[:0],
		Rejected: r.rejected[:0], Release: r.release[:0], refs: r.refs[:0], room: r,
	}
}

// Reset releases the payloads and empties w. It is called after the write, or
// when the write will never happen.
func (w *Writes) Reset() {
	r := w.room
	if r == nil {
		return
	}
	for _, b := range w.Release {
		if b != nil {
			b.Release()
		}
	}
	clear(w.Release)
	clear(w.refs)
	clear(w.Segments)
	clear(w.Rejected)
	if cap(w.Head) <= largestRoom {
		*r = room{
			head: w.Head, segments: w.Segments, finished: w.Finished,
			rejected: w.Rejected, release: w.Release, refs: w.refs,
		}
		rooms.Put(r)
	}
	*w = Writes{}
}

// refer puts p on the wire behind what Head holds, without copying it.
func (w *Writes) refer(p []byte) { w.refs = append(w.refs, reference{at: len(w.Head), p: p}) }

// segment makes Segments of what is there.
func (w *Writes) segment() {
	if len(w.refs) == 0 {
		return
	}
	from := 0
	for _, r := range w.refs {
		if r.at > from {
			w.Segments = append(w.Segments, w.Head[from:r.at])
			from = r.at
		}
		w.Segments = append(w.Segments, r.p)
	}
	if from < len(w.Head) {
		w.Segments = append(w.Segments, w.Head[from:])
	}
}

// unwrite takes the bytes back that no socket will see. The payloads they
// refer to stay to be released.
func (w *Writes) unwrite() {
	clear(w.refs)
	w.Head, w.refs = w.Head[:0], w.refs[:0]
	w.N, w.DataFrames, w.HeaderBlocks = 0, 0, 0
}
