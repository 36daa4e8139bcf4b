// Package frame holds HTTP/2 frames as typed values (RFC 9113 section 6). The
// same types are what the reader makes of bytes, what actors exchange through
// mailboxes, what the machines step on, and what the encoder turns into bytes
// again.
//
// Frames that occur once or more per RPC (Headers, Data, WindowUpdate,
// RSTStream, Outgoing) are pooled: whoever takes one out of its mailbox last
// frees it. The others are left to the garbage collector.
package frame

import (
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// StreamID is an HTTP/2 stream identifier; 0 is the connection itself.
type StreamID uint32

// MaxStreamID is the last identifier a connection can give out.
const MaxStreamID StreamID = 1<<31 - 1

// MaxWindow is the largest flow-control window (RFC 9113 6.9.1).
const MaxWindow = 1<<31 - 1

// Wire constants of RFC 9113.
const (
	HeaderLen         = 9       // octets before every payload (4.1)
	MinMaxFrameSize   = 1 << 14 // smallest MAX_FRAME_SIZE (6.5.2)
	LimitMaxFrameSize = 1<<24 - 1
	DefaultWindow     = 65535 // initial flow-control window (6.9.2)
	DefaultTableSize  = 4096  // initial HPACK table size (6.5.2)
	Preface           = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// Frame is anything the reader can hand on.
type Frame interface{ frame() }

// Control is a frame that loopy writes ahead of streams' data.
type Control interface {
	Frame
	control()
}

// Field is one header field.
type Field = hpack.HeaderField

// FieldSource lists the fields of a header block. It is asked on the loopy
// writer's turn, so it must not change after it was sent there.
type FieldSource interface {
	AppendFields(dst []Field) []Field
}

// SlotIndex names the reusable place of a stream in its connection's tables;
// the stream id tells one occupant from the next.
type SlotIndex int32

// NoSlot stands for a stream that has no place.
const NoSlot SlotIndex = -1

func (id StreamID) String() string { return strconv.FormatUint(uint64(id), 10) }
