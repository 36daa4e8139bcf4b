package frame

import "sync"

// RSTStream ends a stream at once (RFC 9113 6.4).
type RSTStream struct {
	StreamID StreamID
	Code     ErrCode
}

func (*RSTStream) frame()   {}
func (*RSTStream) control() {}

var rstStreamPool = sync.Pool{New: func() any { return new(RSTStream) }}

// NewRSTStream takes an RSTStream from the pool.
func NewRSTStream(id StreamID, code ErrCode) *RSTStream {
	r := rstStreamPool.Get().(*RSTStream)
	*r = RSTStream{StreamID: id, Code: code}
	return r
}

// Free gives r back.
func (r *RSTStream) Free() { rstStreamPool.Put(r) }
