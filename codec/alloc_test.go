package codec

import (
	"context"
	"testing"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestProtoEncodingDoesNotAllocate(t *testing.T) {
	c, _ := ForSubtype("")
	for _, n := range []int{0, 10, 3000, 1 << 20} {
		m := wrapperspb.Bytes(make([]byte, n))
		got := testing.AllocsPerRun(200, func() {
			wire, _, err := Encode(c, nil, m, 4<<20)
			if err != nil {
				t.Fatal(err)
			}
			wire.Release()
		})
		if got != 0 {
			t.Errorf("%d octets: %v allocations", n, got)
		}
	}
	if n := testing.AllocsPerRun(200, func() { ForSubtype("") }); n != 0 {
		t.Errorf("ForSubtype allocates %v times", n)
	}
}

func TestProtoDecodingAllocatesOnlyTheMessage(t *testing.T) {
	wire, _, err := Encode(protoCodec{}, nil, wrapperspb.UInt64(1<<60), 100)
	if err != nil {
		t.Fatal(err)
	}
	m := new(wrapperspb.UInt64Value)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := Decode(context.Background(), protoCodec{}, nil, false, wire.B[PrefixLen:], m, 100); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchmarkEncode(b *testing.B, comp encoding.Compressor, n int) {
	b.ReportAllocs()
	b.SetBytes(int64(n))
	m := wrapperspb.Bytes(make([]byte, n))
	for b.Loop() {
		wire, _, err := Encode(protoCodec{}, comp, m, 8<<20)
		if err != nil {
			b.Fatal(err)
		}
		wire.Release()
	}
}

func BenchmarkEncodeProto10(b *testing.B) { benchmarkEncode(b, nil, 10) }
func BenchmarkEncodeProto1M(b *testing.B) { benchmarkEncode(b, nil, 1<<20) }
func BenchmarkEncodeGzip64K(b *testing.B) { benchmarkEncode(b, encoding.GetCompressor("gzip"), 64<<10) }

func BenchmarkDecodeGzip64K(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(64 << 10)
	gz := encoding.GetCompressor("gzip")
	wire, _, err := Encode(protoCodec{}, gz, wrapperspb.Bytes(make([]byte, 64<<10)), 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	m := new(wrapperspb.BytesValue)
	for b.Loop() {
		if _, err := Decode(context.Background(), protoCodec{}, gz, true, wire.B[PrefixLen:], m, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
