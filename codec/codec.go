// Package codec turns application messages into the bytes of a gRPC stream and
// back: a codec serializes, a compressor may shrink, and five octets in front
// say whether it did and how long the rest is (the Length-Prefixed-Message of
// gRPC over HTTP/2).
//
// Codecs and compressors come from grpc-go's registries (package encoding), so
// importing google.golang.org/grpc/encoding/gzip, or registering a JSON codec
// there, is all it takes. The stock proto codec is replaced by one that
// serializes straight into a pooled buffer.
//
// Limits come before memory. A message that is too large to send is refused
// before its buffer exists where the codec can tell its size, and an inbound
// compressed message never grows past the limit while it is being inflated. At
// most GOMAXPROCS messages are inflated at a time in the whole process; the
// others wait, or give up when their RPC ends.
//
// All of this runs on the application's goroutine. Codecs and compressors are
// user code and may panic; whoever calls in here contains that.
package codec

import (
	"google.golang.org/grpc/encoding"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// Codec serializes messages.
type Codec interface {
	// Marshal returns a buffer whose first PrefixLen octets are left for the
	// prefix; the message's octets follow. The caller owns it.
	Marshal(v any) (*buffer.Buffer, error)
	// Unmarshal reads b into v and keeps nothing of b.
	Unmarshal(b []byte, v any) error
	// Name is the codec's content-subtype.
	Name() string
}

// Sizes of one message for statistics, without its prefix.
type Sizes struct {
	Uncompressed int
	Wire         int // as transferred; equals Uncompressed without compression
}

// ForSubtype finds the codec registered for a content-subtype (lower case);
// the empty one stands for proto.
func ForSubtype(subtype string) (Codec, bool) {
	if subtype == "" {
		subtype = protoName
	}
	if c := encoding.GetCodecV2(subtype); c != nil {
		return WrapV2(c), true
	}
	if c := encoding.GetCodec(subtype); c != nil {
		return WrapV1(c), true
	}
	return nil, false
}
