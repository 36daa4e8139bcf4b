package header

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"
)

func TestFieldsMetadata(t *testing.T) {
	md, err := FieldsMetadata(fields(
		":status", "200", "content-type", "application/grpc", "grpc-status", "0", "grpc-message", "m", "user-agent", "u",
		"grpc-retry-pushback-ms", "5", "a", "1,2", "a", "3", "b-bin", "aGk=,aA", "b-bin", "",
	))
	want := metadata.MD{
		"content-type": {"application/grpc"}, "grpc-retry-pushback-ms": {"5"}, "a": {"1,2", "3"}, "b-bin": {"hi", "h", ""},
	}
	if err != nil || !cmp.Equal(want, md) {
		t.Error(err, cmp.Diff(want, md))
	}
	if md, err := FieldsMetadata(fields("grpc-status", "0")); md != nil || err != nil {
		t.Errorf("nothing to show: %v %v", md, err)
	}
	if _, err := FieldsMetadata(fields("x-bin", "a")); err == nil || problem(t, err).Kind != Broken {
		t.Errorf("bad -bin: %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := metadata.MD{"a-z_0.9": {"printable ~", ""}, "x-bin": {"\x00\xff"}, ":path": {"\n"}}
	if err := Validate(good); err != nil {
		t.Error(err)
	}
	for _, md := range []metadata.MD{{"": {"x"}}, {"A": {"x"}}, {"a b": {"x"}}, {"a\n": {"x"}}, {"é": nil}, {"a": {"ok", "a\r\n"}}, {"a": {"\x7f"}}, {"a": {"ü"}}} {
		if Validate(md) == nil {
			t.Errorf("%q passes", md)
		}
	}
}
