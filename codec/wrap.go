package codec

import (
	"slices"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

// WrapV1 adapts a codec of the first kind.
func WrapV1(c encoding.Codec) Codec { return v1{c} }

// WrapV2 adapts a codec of the second kind. For grpc-go's own proto codec it
// returns the faster equivalent.
func WrapV2(c encoding.CodecV2) Codec {
	if isStockProto(c) {
		return protoCodec{}
	}
	return v2{c}
}

type v1 struct{ encoding.Codec }

func (c v1) Marshal(v any) (*buffer.Buffer, error) {
	b, err := c.Codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	if err := checkLength(len(b)); err != nil {
		return nil, err
	}
	buf := buffer.Get(PrefixLen + len(b))
	copy(buf.B[PrefixLen:], b)
	return buf, nil
}

// Unmarshal gives the codec octets of its own: such codecs may keep them, as
// pass-through codecs of proxies do.
func (c v1) Unmarshal(b []byte, v any) error {
	return c.Codec.Unmarshal(slices.Clone(b), v)
}

type v2 struct{ encoding.CodecV2 }

func (c v2) Marshal(v any) (*buffer.Buffer, error) {
	data, err := c.CodecV2.Marshal(v)
	if err != nil {
		return nil, err
	}
	defer data.Free()
	n := data.Len()
	if err := checkLength(n); err != nil {
		return nil, err
	}
	buf := buffer.Get(PrefixLen + n)
	data.CopyTo(buf.B[PrefixLen:])
	return buf, nil
}

// Unmarshal gives the codec a counted copy: it may take a reference and read
// it long after b has been used for something else.
func (c v2) Unmarshal(b []byte, v any) error {
	data := mem.BufferSlice{mem.Copy(b, mem.DefaultBufferPool())}
	defer data.Free()
	return c.CodecV2.Unmarshal(data, v)
}
