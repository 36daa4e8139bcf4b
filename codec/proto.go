package codec

import (
	"fmt"
	"reflect"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto" // registers the stock codec
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/callboard-rpc/callboard/codec/buffer"
)

const protoName = grpcproto.Name

// protoCodec does what grpc-go's proto codec does, without its intermediate
// buffers.
type protoCodec struct{}

var _ sizedCodec = protoCodec{}

func (protoCodec) Name() string { return protoName }

func (c protoCodec) Marshal(v any) (*buffer.Buffer, error) {
	return c.marshalWithin(v, maxLength)
}

// marshalWithin measures v, refuses it if it is too large, and serializes it
// into a buffer of that size. The second pass relies on the sizes that the
// first one left in the message, so nobody may change v meanwhile; that is
// gRPC's rule for messages being sent anyway.
func (protoCodec) marshalWithin(v any, limit int) (*buffer.Buffer, error) {
	m, err := protoMessage(v)
	if err != nil {
		return nil, err
	}
	size := proto.Size(m)
	if size > limit {
		return nil, &oversize{what: "message", size: size, limit: limit}
	}
	buf := buffer.Get(PrefixLen + size)
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(buf.B[:PrefixLen], m)
	if err != nil {
		buf.Release()
		return nil, err
	}
	if &out[0] != &buf.B[0] {
		// It grew although it must not have: somebody changed the message.
		// What was written is somewhere else now.
		buf.Release()
		return buffer.Wrap(out), nil
	}
	buf.B = out
	return buf, nil
}

func (protoCodec) Unmarshal(b []byte, v any) error {
	m, err := protoMessage(v)
	if err != nil {
		return err
	}
	return proto.Unmarshal(b, m)
}

func protoMessage(v any) (proto.Message, error) {
	switch m := v.(type) {
	case proto.Message:
		return m, nil
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m), nil
	}
	return nil, fmt.Errorf("%T is not a proto.Message", v)
}

// isStockProto reports whether c is the codec that importing grpc-go
// registers, and not one an application put in its place. The type has no
// exported name to compare with.
func isStockProto(c encoding.CodecV2) bool {
	t := reflect.TypeOf(c)
	if t.Kind() != reflect.Pointer {
		return false
	}
	t = t.Elem()
	return t.Name() == "codecV2" && t.PkgPath() == "google.golang.org/grpc/encoding/proto"
}
