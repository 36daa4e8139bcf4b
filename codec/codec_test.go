package codec

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// jsonCodec is what a user would register.
type jsonCodec struct{}

func (jsonCodec) Name() string                    { return "json" }
func (jsonCodec) Marshal(v any) ([]byte, error)   { return json.Marshal(v) }
func (jsonCodec) Unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

func TestForSubtype(t *testing.T) {
	encoding.RegisterCodec(jsonCodec{})
	live := 0
	encoding.RegisterCodecV2(counter{&live})
	for subtype, name := range map[string]string{"": "proto", "proto": "proto", "json": "json", "counter": "counter"} {
		c, ok := ForSubtype(subtype)
		if !ok || c.Name() != name {
			t.Errorf("%q: %v %v", subtype, c, ok)
		}
	}
	if c, ok := ForSubtype("thrift"); ok || c != nil {
		t.Errorf("unregistered: %v", c)
	}
	if c, _ := ForSubtype(""); c != (protoCodec{}) {
		t.Errorf("the stock codec is %T", c)
	}
}

// replaced stands for a codec that an application registers as "proto".
type replaced struct{ encoding.CodecV2 }

func TestACodecRegisteredAsProtoIsUsed(t *testing.T) {
	stock := encoding.GetCodecV2("proto")
	defer encoding.RegisterCodecV2(stock)
	encoding.RegisterCodecV2(replaced{stock})
	if c, _ := ForSubtype(""); c != (v2{replaced{stock}}) {
		t.Errorf("got %T", c)
	}
}

func TestProtoSpeaksLikeTheStockCodec(t *testing.T) {
	stock := encoding.GetCodecV2("proto")
	for _, m := range []proto.Message{
		&emptypb.Empty{}, wrapperspb.String("text"), wrapperspb.Bytes(make([]byte, 100_000)),
	} {
		want, err := stock.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		buf, err := protoCodec{}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want.Materialize(), buf.B[PrefixLen:]) {
			t.Errorf("%T: %d octets, want %d", m, len(buf.B)-PrefixLen, want.Len())
		}
		got := m.ProtoReflect().New().Interface()
		if err := (protoCodec{}).Unmarshal(buf.B[PrefixLen:], got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, got, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		buf.Release()
		want.Free()
	}
	if _, err := (protoCodec{}).Marshal(17); err == nil {
		t.Error("a number is no proto message")
	}
	if err := (protoCodec{}).Unmarshal(nil, new(int)); err == nil {
		t.Error("a number is no proto message")
	}
	if _, err := (protoCodec{}).Marshal(wrapperspb.String("\xff")); err == nil {
		t.Error("invalid UTF-8 passed")
	}
}

func TestCodecsMayKeepWhatTheyWereGiven(t *testing.T) {
	ctx := context.Background()
	payload := []byte("0123456789")
	var kept []byte
	if _, err := Decode(ctx, WrapV1(keeper{}), nil, false, payload, &kept, 100); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 5000)
	copy(large, "0123456789")
	var refs mem.BufferSlice
	live := 0
	if _, err := Decode(ctx, WrapV2(counter{&live}), nil, false, large, &refs, 5000); err != nil {
		t.Fatal(err)
	}
	clear(payload) // the buffer is used for another message
	clear(large)
	if string(kept) != "0123456789" {
		t.Errorf("kept octets changed to %q", kept)
	}
	if got := refs.Materialize(); string(got[:10]) != "0123456789" {
		t.Errorf("octets of a reference changed to %q", got[:10])
	}
	refs.Free()
}

func TestWrappedCodecsAreCopiedFrom(t *testing.T) {
	live := 0
	wire, sizes, err := Encode(WrapV2(counter{&live}), nil, "one|two||three", 100)
	if err != nil || string(wire.B) != "\x00\x00\x00\x00\x0bonetwothree" || sizes != (Sizes{11, 11}) {
		t.Fatal(err, wire, sizes)
	}
	if live != 0 {
		t.Errorf("%d buffers of the codec were not freed", live)
	}
	wire.Release()
	own := []byte("own")
	wire, _, err = Encode(WrapV1(keeper{}), nil, own, 100)
	if err != nil {
		t.Fatal(err)
	}
	own[0] = 'X'
	if string(wire.B[PrefixLen:]) != "own" {
		t.Errorf("wire octets alias the codec's: %q", wire.B)
	}
	wire.Release()
}
