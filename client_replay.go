package callboard

import (
	"errors"
	"sync"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/stream"
)

// replayLimit is how many octets of a streaming RPC are kept so that it can be
// sent again. Beyond it the RPC is committed to its connection.
const replayLimit = 256 << 10

// replay keeps what a streaming RPC has sent, until something of the response
// shows that a server has it. If the peer says before that that it never
// looked at the RPC (GOAWAY below its id, REFUSED_STREAM), everything is sent
// again on another connection, once, and nobody notices (gRFC A6, transparent
// retry).
type replay struct {
	mu        sync.Mutex
	call      *stream.Call
	wires     []*buffer.Buffer
	size      int
	half      bool // half-closed behind the last message
	committed bool
	used      bool
}

// current is the call in force.
func (s *clientStream) current() *stream.Call {
	s.replay.mu.Lock()
	defer s.replay.mu.Unlock()
	return s.replay.call
}

// keep remembers a message before it is sent, and says to which call it goes:
// in one step, or a call that took over in between would get it twice.
func (r *replay) keep(wire *buffer.Buffer, end bool) *stream.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.half = r.half || end
	switch {
	case r.committed || wire == nil:
	case r.size+len(wire.B) > replayLimit:
		r.commitLocked()
	default:
		r.size += len(wire.B)
		r.wires = append(r.wires, wire.Retain())
	}
	return r.call
}

func (r *replay) commit() {
	r.mu.Lock()
	r.commitLocked()
	r.mu.Unlock()
}

func (r *replay) commitLocked() {
	for _, w := range r.wires {
		w.Release()
	}
	r.wires, r.committed = nil, true
}

// again sends the RPC on another connection after from has ended unprocessed.
// It says whether there is a call to go on with.
func (s *clientStream) again(from *stream.Call) bool {
	r := &s.replay
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.call != from {
		return true // the other direction was here first
	}
	if r.committed || r.used || !from.Outcome().Unprocessed || s.ctx.Err() != nil {
		return false
	}
	r.used = true
	next, ref, err := s.attempt()
	if err != nil {
		return false
	}
	from.Release()
	r.call, s.ref = next, ref
	for i, w := range r.wires {
		err := next.Send(w.Retain(), r.half && i == len(r.wires)-1, s.ctx.Done())
		if errors.Is(err, stream.ErrDone) {
			w.Release()
		}
		if err != nil {
			return true // ended already: the receiver finds out why
		}
	}
	if r.half && len(r.wires) == 0 {
		next.CloseSend()
	}
	return true
}
