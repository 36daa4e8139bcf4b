package codec

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

// Decode reads one message, without its prefix, into v; compressed is the
// prefix's flag and comp what the stream's grpc-encoding names (nil for
// identity). It keeps nothing of payload.
//
// maxRecv limits the message before and after decompression. ctx is the RPC's:
// once it is done, waiting for a place among the inflations ends, and so does
// the inflation within 64 KiB. Errors are status errors: ResourceExhausted for
// a limit, Internal for octets that do not decompress or deserialize or a flag
// that has no encoding to go with it, and ctx's own.
func Decode(ctx context.Context, c Codec, comp encoding.Compressor, compressed bool, payload []byte, v any, maxRecv int) (Sizes, error) {
	return SharedInflations().Decode(ctx, c, comp, compressed, payload, v, maxRecv)
}

// Decode is the function of that name, with places of its own for inflations.
func (in Inflations) Decode(ctx context.Context, c Codec, comp encoding.Compressor, compressed bool, payload []byte, v any, maxRecv int) (Sizes, error) {
	sizes := Sizes{Uncompressed: len(payload), Wire: len(payload)}
	if len(payload) > maxRecv {
		return sizes, receiveFailed("", &oversize{what: "message", size: len(payload), limit: maxRecv})
	}
	if !compressed {
		return sizes, unmarshal(c, payload, v)
	}
	if comp == nil {
		return sizes, status.Error(codes.Internal, "received a compressed message on a stream without grpc-encoding")
	}
	buf, err := in.gate.inflate(ctx, comp, payload, maxRecv)
	if err != nil {
		return sizes, err
	}
	defer buf.Release()
	sizes.Uncompressed = len(buf.B)
	return sizes, unmarshal(c, buf.B, v)
}

func unmarshal(c Codec, b []byte, v any) error {
	if err := c.Unmarshal(b, v); err != nil {
		return receiveFailed("unmarshal", err)
	}
	return nil
}
