package conformance

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// JSON is the content subtype of the codec that this package registers.
const JSON = "json"

func init() { encoding.RegisterCodec(jsonCodec{}) }

// jsonCodec is the protobuf JSON mapping, strict about unknown fields.
type jsonCodec struct{}

func (jsonCodec) Name() string { return JSON }

func (jsonCodec) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("json codec: %T is no protobuf message", v)
	}
	return protojson.Marshal(m)
}

func (jsonCodec) Unmarshal(b []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("json codec: %T is no protobuf message", v)
	}
	return protojson.Unmarshal(b, m)
}
