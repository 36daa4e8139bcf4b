package frame

import (
	"sync"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// Data reports DATA (RFC 9113 6.1) of one stream, already cut into gRPC
// messages. Size counts the flow-controlled octets that arrived since the last
// Data of that stream; at most one message completes per Data, so a frame that
// completes several messages yields several, of which the first carries the
// Size. DATA frames of one stream that follow each other within a batch are
// reported as one as long as that holds.
type Data struct {
	StreamID   StreamID
	Size       int            // flow-controlled octets, padding included
	Message    *buffer.Buffer // one complete message without its prefix, or nil; owned by the receiver
	Compressed bool           // the message's compressed flag
	Pending    int            // octets still to come, as far as known, of the message that began; 0: none began
	EndStream  bool
	Fault      *Fault // the stream's messages cannot be read past this point
}

func (*Data) frame() {}

// FaultKind says why a stream's messages cannot be read any further.
type FaultKind uint8

// Kinds of Fault.
const (
	BadFlag   FaultKind = iota + 1 // the prefix's flag octet is neither 0 nor 1
	TooLarge                       // the prefix announces more than the receive limit
	Truncated                      // the stream ended inside a message
	NoBudget                       // the memory budget for received bytes is used up
)

// Fault describes a gRPC-level defect of an inbound message. It is the RPC's
// problem, not the connection's.
type Fault struct {
	Kind  FaultKind
	Got   uint64 // the offending number: the flag octet, or the announced length
	Limit uint64
}

var dataPool = sync.Pool{New: func() any { return new(Data) }}

// NewData takes an empty Data from the pool.
func NewData() *Data { return dataPool.Get().(*Data) }

// Free gives d back. Whoever frees it has taken or released Message.
func (d *Data) Free() {
	*d = Data{}
	dataPool.Put(d)
}
