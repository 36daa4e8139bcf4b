package header

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestResponseFields(t *testing.T) {
	r := &Response{ContentSubtype: "proto", Encoding: "gzip", AcceptEncoding: "gzip", Metadata: metadata.MD{"k-bin": {"hi"}, "te": {"x"}}}
	want := fields(
		":status", "200", "content-type", "application/grpc+proto", "grpc-encoding", "gzip",
		"grpc-accept-encoding", "gzip", "k-bin", "aGk",
	)
	if diff := cmp.Diff(want, r.AppendFields(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestTrailerFields(t *testing.T) {
	for name, c := range map[string]struct {
		tr   Trailer
		want []string
	}{
		"ok":            {Trailer{}, []string{"grpc-status", "0"}},
		"error":         {Trailer{Code: codes.Aborted, Message: "a\n"}, []string{"grpc-status", "10", "grpc-message", "a%0A"}},
		"custom code":   {Trailer{Code: 4711}, []string{"grpc-status", "4711"}},
		"own details":   {Trailer{Code: 5, Metadata: metadata.MD{"grpc-status-details-bin": {"hi"}}}, []string{"grpc-status", "5", "grpc-status-details-bin", "aGk"}},
		"details win":   {Trailer{Code: 5, Details: []byte("hi!"), Metadata: metadata.MD{"grpc-status-details-bin": {"hi"}}}, []string{"grpc-status", "5", "grpc-status-details-bin", "aGkh"}},
		"trailers-only": {Trailer{Code: 12, Only: true, AcceptEncoding: "gzip"}, []string{":status", "200", "content-type", "application/grpc", "grpc-accept-encoding", "gzip", "grpc-status", "12"}},
		"HTTP status":   {Trailer{Code: 13, Only: true, HTTPStatus: 431, ContentSubtype: "json"}, []string{":status", "431", "content-type", "application/grpc+json", "grpc-status", "13"}},
	} {
		if diff := cmp.Diff(fields(c.want...), c.tr.AppendFields(nil)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSetStatusReplacesWhatWasThere(t *testing.T) {
	full, raw := detailed(t, codes.NotFound, "full")
	var tr Trailer
	tr.SetStatus(status.FromProto(full))
	if diff := cmp.Diff(Trailer{Code: codes.NotFound, Message: "full", Details: raw}, tr); diff != "" {
		t.Error(diff)
	}
	tr.SetStatus(nil)
	if diff := cmp.Diff(Trailer{}, tr); diff != "" {
		t.Error(diff)
	}
}
