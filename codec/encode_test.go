package codec

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"
)

func TestEncode(t *testing.T) {
	wire, sizes, err := Encode(protoCodec{}, nil, wrapperspb.String("hi"), 100)
	if err != nil || string(wire.B) != "\x00\x00\x00\x00\x04\x0a\x02hi" || sizes != (Sizes{4, 4}) {
		t.Errorf("%q %+v %v", wire.B, sizes, err)
	}
	wire.Release()
}

func TestEmptyMessagesAreNotCompressed(t *testing.T) {
	for _, v := range []any{nil, &emptypb.Empty{}} {
		wire, sizes, err := Encode(protoCodec{}, encoding.GetCompressor("gzip"), v, 100)
		if err != nil || string(wire.B) != "\x00\x00\x00\x00\x00" || sizes != (Sizes{}) {
			t.Errorf("%v: %q %+v %v", v, wire.B, sizes, err)
		}
		wire.Release()
	}
}

func TestEncodeGzip(t *testing.T) {
	text := bytes.Repeat([]byte("abc"), 100_000)
	wire, sizes, err := Encode(WrapV1(keeper{}), encoding.GetCompressor("gzip"), text, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Release()
	if wire.B[0] != 1 || sizes.Uncompressed != len(text) || sizes.Wire != len(wire.B)-PrefixLen {
		t.Errorf("flag %d, %+v, %d octets", wire.B[0], sizes, len(wire.B))
	}
	r, err := gzip.NewReader(bytes.NewReader(wire.B[PrefixLen:]))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d octets came back: %v", len(got), err)
	}
}

func TestSendLimitIsAboutWhatIsTransferred(t *testing.T) {
	gz := encoding.GetCompressor("gzip")
	zeros := wrapperspb.Bytes(make([]byte, 1<<16))
	for name, c := range map[string]struct {
		comp encoding.Compressor
		max  int
		code codes.Code
	}{
		"fits":                      {nil, 1<<16 + 4, codes.OK},
		"one too long":              {nil, 1<<16 + 3, codes.ResourceExhausted},
		"fits when compressed":      {gz, 1000, codes.OK},
		"too long, even compressed": {gz, 20, codes.ResourceExhausted},
		"expands":                   {stuffing{times: 3}, 1<<17 + 100, codes.ResourceExhausted},
		"expands within the limit":  {stuffing{times: 3}, 1 << 18, codes.OK},
		"nothing":                   {nil, 0, codes.ResourceExhausted},
		"no limit":                  {gz, math.MaxInt, codes.OK},
		"below nothing":             {gz, -1 << 40, codes.ResourceExhausted},
	} {
		wire, _, err := Encode(protoCodec{}, c.comp, zeros, c.max)
		if status.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			wire.Release()
		}
	}
}

func TestEncodeFailuresAreInternalAndKeepTheirCause(t *testing.T) {
	no := errors.New("no")
	for name, err := range map[string]error{
		"codec":      third(Encode(WrapV1(keeper{}), nil, "refuse", 9)),
		"proto":      third(Encode(protoCodec{}, nil, 1, 9)),
		"compressor": third(Encode(WrapV1(keeper{}), stuffing{refuse: no}, []byte("x"), 9)),
	} {
		if status.Code(err) != codes.Internal {
			t.Errorf("%s: %v", name, err)
		}
		if name == "compressor" && !errors.Is(err, no) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

func TestEncodedMessagesDecode(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "text")
		text = bytes.Repeat(text, rapid.IntRange(1, 100).Draw(t, "times"))
		var comp encoding.Compressor
		if rapid.Bool().Draw(t, "gzip") {
			comp = encoding.GetCompressor("gzip")
		}
		wire, sent, err := Encode(protoCodec{}, comp, wrapperspb.Bytes(text), math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		defer wire.Release()
		got := new(wrapperspb.BytesValue)
		limit := rapid.SampledFrom([]int{max(sent.Uncompressed, sent.Wire), math.MaxInt}).Draw(t, "limit")
		read, err := Decode(ctx, protoCodec{}, comp, wire.B[0] == 1, wire.B[PrefixLen:], got, limit)
		if err != nil || !bytes.Equal(got.Value, text) || read != sent {
			t.Fatalf("%v: %d octets of %d, %+v of %+v", err, len(got.Value), len(text), read, sent)
		}
	})
}
