package codec

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

func TestCompressorsAreThoseRegistered(t *testing.T) {
	encoding.RegisterCompressor(stuffing{})
	if got := Compressors(); got != "gzip" {
		t.Errorf("well-known: %q", got)
	}
	if got := Compressors("stuffing", "gzip", "absent", "", "identity"); got != "gzip,stuffing" {
		t.Errorf("with names: %q", got)
	}
	if CompressorFor("gzip") == nil || CompressorFor("") != nil || CompressorFor("identity") != nil || CompressorFor("absent") != nil {
		t.Error("lookup")
	}
}

func TestDecompressor(t *testing.T) {
	for _, name := range []string{"", "identity"} {
		if c, err := Decompressor(name, true); c != nil || err != nil {
			t.Errorf("%q: %v %v", name, c, err)
		}
	}
	if c, err := Decompressor("gzip", true); c == nil || err != nil {
		t.Errorf("gzip: %v %v", c, err)
	}
	if _, err := Decompressor("foo", true); status.Code(err) != codes.Unimplemented {
		t.Errorf("server: %v", err)
	}
	if _, err := Decompressor("foo", false); status.Code(err) != codes.Internal {
		t.Errorf("client: %v", err)
	}
}
