package frame

import (
	"encoding/binary"
	"sync"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// prefixLen is the flag octet and the length before every gRPC message.
const prefixLen = 5

// assembly is the message of one stream that is being put together.
type assembly struct {
	prefix  [prefixLen]byte
	got     int            // octets of prefix that arrived
	msg     *buffer.Buffer // once the prefix is complete; may be shorter than size until that has arrived
	size    int            // octets the prefix announced
	have    int            // octets of msg that arrived
	charged int            // octets of msg to give back to the Room
	covered int            // likewise, of those that the stream's window was grown for
}

// missing is how many octets of the begun message are known to be still to
// come, 0 if none has begun.
func (a *assembly) missing() int {
	switch {
	case a.msg != nil:
		return a.size - a.have
	case a.got > 0:
		return prefixLen - a.got
	}
	return 0
}

func (a *assembly) length() uint32 { return binary.BigEndian.Uint32(a.prefix[1:]) }

var assemblyPool = sync.Pool{New: func() any { return new(assembly) }}

// assemblies are the streams whose messages are read. Most RPCs come and go
// as one run of frames, so the newest stream is kept out of the map until the
// next one begins.
type assemblies struct {
	newestID StreamID
	newest   *assembly
	others   map[StreamID]*assembly
}

func (s *assemblies) find(id StreamID) *assembly {
	if id == s.newestID {
		return s.newest
	}
	return s.others[id]
}

// open makes id known.
func (s *assemblies) open(id StreamID) {
	if s.find(id) != nil {
		return
	}
	if s.newest != nil {
		if s.others == nil {
			s.others = make(map[StreamID]*assembly)
		}
		s.others[s.newestID] = s.newest
	}
	s.newestID, s.newest = id, assemblyPool.Get().(*assembly)
}

// remove takes id out; nil if it is not known.
func (s *assemblies) remove(id StreamID) *assembly {
	if id == s.newestID {
		a := s.newest
		s.newestID, s.newest = 0, nil
		return a
	}
	a := s.others[id]
	if a != nil {
		delete(s.others, id)
	}
	return a
}

func (s *assemblies) each(f func(*assembly)) {
	if s.newest != nil {
		f(s.newest)
	}
	for _, a := range s.others {
		f(a)
	}
}

// dropAssembly forgets a stream's message. If DATA of it is being read, the
// rest only counts.
func (r *Reader) dropAssembly(id StreamID) {
	a := r.asm.remove(id)
	if a == nil {
		return
	}
	if r.data.asm == a {
		r.data.asm = nil
	}
	r.abandon(a)
}

// abandon gives back what an assembly holds, and itself.
func (r *Reader) abandon(a *assembly) {
	if a.msg != nil {
		a.msg.Release()
	}
	r.release(a)
	*a = assembly{}
	assemblyPool.Put(a)
}

func (r *Reader) release(a *assembly) {
	if a.charged+a.covered > 0 {
		r.room.Release(a.charged, a.covered)
		a.charged, a.covered = 0, 0
	}
}
