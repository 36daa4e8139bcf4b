package outbound

import (
	"github.com/callboard-rpc/callboard/codec/frame"
)

// In. Besides these, a Queue takes
//
//	*frame.Outgoing  what a stream wants written; freed by the Queue
//	frame.Control    SETTINGS and its ACK, PING, GOAWAY, RST_STREAM, and the
//	                 WINDOW_UPDATEs we grant; pooled ones are freed by the Queue
//	*frame.Grant     a WINDOW_UPDATE of the peer; Slot says whose, unless
//	                 StreamID is 0; freed by the Queue
//	*frame.Drop      a stream that the peer has reset; a Last among what is
//	                 dropped finishes the slot

// PeerSettings is the peer's settings as they stand now, checked by the
// connection machine. It is stepped before the acknowledgement, which is an
// ordinary control frame: what is encoded after it obeys the new values.
type PeerSettings struct {
	MaxFrameSize      uint32 // 0: as it was
	InitialWindow     uint32 // the change adjusts the windows of live streams (RFC 9113 6.9.2)
	HeaderTableSize   uint32
	MaxHeaderListSize uint32 // 0: no limit
}

// Out, in Writes.

// Ended says that nothing of a stream is left here: its Last was written or
// dropped.
type Ended struct {
	Slot frame.SlotIndex
	ID   frame.StreamID
}

// Rejected says that a header block is larger than the peer accepts (RFC 9113
// 6.5.2) and was not written. The stream is over on the wire: if the peer
// knows of it, RST_STREAM(INTERNAL_ERROR) was written instead. Its Last is
// still reported in Finished, in the same Writes if the block came with it.
type Rejected struct {
	Slot   frame.SlotIndex
	ID     frame.StreamID
	Reason string // the cause in words, for a status
	Size   uint64 // of the header list, 32 octets of overhead per field included
	Limit  uint32 // the peer's MAX_HEADER_LIST_SIZE
}
