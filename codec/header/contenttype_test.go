package header

import (
	"strings"
	"testing"
)

func TestSubtype(t *testing.T) {
	type want struct {
		subtype string
		ok      bool
	}
	for in, w := range map[string]want{
		"application/grpc":                        {"", true},
		"application/grpc+":                       {"", true},
		"application/grpc;":                       {"", true},
		"application/grpc+proto":                  {"proto", true},
		"application/grpc+json":                   {"json", true},
		"application/grpc;json":                   {"json", true},
		"application/grpc+JSON":                   {"json", true},
		"Application/gRPC+proto":                  {"proto", true},
		"application/grpc; charset=utf-8":         {"", true},
		"application/grpc ; charset=utf-8":        {"", true},
		"application/grpc+proto; charset=utf-8":   {"proto", true},
		"application/grpc+proto ;charset=utf-8":   {"proto", true},
		"application/grpc+vnd.x+y":                {"vnd.x+y", true},
		"":                                        {"", false},
		"application/grp":                         {"", false},
		"application/grpc-web":                    {"", false},
		"application/grpc-web+proto":              {"", false},
		"application/grpcfoo":                     {"", false},
		"application/grpc foo":                    {"", false},
		"image/jpeg":                              {"", false},
		"text/html":                               {"", false},
		strings.Repeat("application/grpc", 1<<10): {"", false},
	} {
		got, ok := Subtype(in)
		if got != w.subtype || ok != w.ok {
			t.Errorf("%q: %q %v", Escape(in), got, ok)
		}
	}
}

func TestContentTypeComesBackAsItsSubtype(t *testing.T) {
	for _, s := range []string{"", "proto", "json", "thrift"} {
		if got, ok := Subtype(ContentType(s)); !ok || got != s {
			t.Errorf("%q: %q %v", s, got, ok)
		}
	}
}

func FuzzSubtype(f *testing.F) {
	for _, s := range []string{"application/grpc", "application/grpc+proto; a=b", "application/grpc;x", "APPLICATION/GRPC+J", "text/plain"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sub, ok := Subtype(s)
		if !ok && sub != "" {
			t.Fatalf("%q is not gRPC but has the subtype %q", s, sub)
		}
		if strings.Contains(sub, ";") || sub != strings.ToLower(sub) {
			t.Fatalf("%q: subtype %q", s, sub)
		}
		if again, ok2 := Subtype(ContentType(sub)); ok && (!ok2 || again != sub) {
			t.Fatalf("%q: subtype %q reads back as %q", s, sub, again)
		}
	})
}
