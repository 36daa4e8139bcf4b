package frame

import "sync"

// Headers is one whole header block: HEADERS and its CONTINUATIONs, decoded
// (RFC 9113 6.2).
type Headers struct {
	StreamID  StreamID
	Fields    []Field // valid until Free
	EndStream bool
	WireLen   int          // octets of the HEADERS frame's payload, CONTINUATIONs not counted
	TooLarge  bool         // the list is past the limit: the RPC ends with RESOURCE_EXHAUSTED; Fault is set, too
	Fault     *StreamError // the block decoded, but breaks a rule or limit; Fields may be cut short
}

func (*Headers) frame() {}

// maxPooledFields bounds the field slices that pooled Headers keep.
const maxPooledFields = 256

var headersPool = sync.Pool{New: func() any { return new(Headers) }}

// NewHeaders takes an empty Headers with room for fields from the pool.
func NewHeaders() *Headers { return headersPool.Get().(*Headers) }

// Free gives h and its field slice back. The strings in it stay valid.
func (h *Headers) Free() {
	if cap(h.Fields) > maxPooledFields {
		return // an unusually long list would stay pinned in the pool
	}
	clear(h.Fields)
	*h = Headers{Fields: h.Fields[:0]}
	headersPool.Put(h)
}
