package codec

import (
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/header"
)

// Compressor is grpc-go's.
type Compressor = encoding.Compressor

// wellKnown are the names looked for in the registry, which can be asked for a
// name but does not list what it has.
var wellKnown = [...]string{"gzip", "deflate", "zlib", "snappy", "s2", "zstd", "lz4", "br", "brotli"}

// CompressorFor finds the compressor registered under a grpc-encoding; nil for
// identity, the empty name, and what is not registered.
func CompressorFor(name string) encoding.Compressor {
	if name == "" || name == encoding.Identity {
		return nil
	}
	return encoding.GetCompressor(name)
}

// Compressors is the grpc-accept-encoding to send: the well-known names and
// those given that are registered, comma-separated. A program that registers a
// compressor under a name of its own passes that name.
func Compressors(names ...string) string {
	var found []string
	add := func(name string) {
		if CompressorFor(name) != nil && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	for _, name := range wellKnown {
		add(name)
	}
	for _, name := range names {
		add(name)
	}
	return strings.Join(found, ",")
}

// Decompressor is the compressor to read a stream with whose grpc-encoding is
// name; nil for identity. One that is not installed is a status error:
// Unimplemented on a server, which then also sends grpc-accept-encoding, and
// Internal on a client (gRPC's compression document).
func Decompressor(name string, server bool) (encoding.Compressor, error) {
	if name == "" || name == encoding.Identity {
		return nil, nil
	}
	if c := encoding.GetCompressor(name); c != nil {
		return c, nil
	}
	code := codes.Internal
	if server {
		code = codes.Unimplemented
	}
	return nil, status.Errorf(code, "no decompressor is installed for grpc-encoding %s", header.Escape(name))
}
