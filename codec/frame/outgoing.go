package frame

import (
	"sync"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// Outgoing is what a stream asks loopy to put on the wire, in this order:
// header block, payload, trailing header block, RST_STREAM. A whole unary
// request is one Outgoing, a whole unary response too.
//
// The stream owns Header and Trailer and keeps them unchanged until loopy has
// reported the slot finished. Payload's ownership passes to loopy, which
// releases it after the flush that carried it.
type Outgoing struct {
	StreamID StreamID
	Slot     SlotIndex

	Header    FieldSource    // HEADERS first, when set
	Payload   *buffer.Buffer // length-prefixed message bytes for DATA, when set
	Trailer   FieldSource    // HEADERS with END_STREAM after everything queued, when set
	EndStream bool           // END_STREAM on the last DATA (an empty one if there is no Payload), or on HEADERS when nothing follows

	Reset bool    // drop what is queued for the stream and write RST_STREAM(Code)
	After bool    // with Reset: not at once, but behind everything queued (a response that ends before its request)
	Code  ErrCode // the code of Reset
	Last  bool    // nothing follows: report the slot as finished once this is written or dropped

	Quota *flow.Quota // told as the payload's bytes leave; nil where nobody waits
}

var outgoingPool = sync.Pool{New: func() any { return new(Outgoing) }}

// NewOutgoing takes an empty Outgoing from the pool.
func NewOutgoing() *Outgoing { return outgoingPool.Get().(*Outgoing) }

// Free gives o back; its Payload has been released or passed on.
func (o *Outgoing) Free() {
	*o = Outgoing{}
	outgoingPool.Put(o)
}
