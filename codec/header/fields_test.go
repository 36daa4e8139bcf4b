package header

import (
	"errors"
	"testing"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// fields makes a block of name, value, name, value.
func fields(nv ...string) []frame.Field {
	var fs []frame.Field
	for i := 0; i < len(nv); i += 2 {
		fs = append(fs, frame.Field{Name: nv[i], Value: nv[i+1]})
	}
	return fs
}

// without drops the fields of that name.
func without(fs []frame.Field, name string) []frame.Field {
	var out []frame.Field
	for _, f := range fs {
		if f.Name != name {
			out = append(out, f)
		}
	}
	return out
}

// with sets a field in place, or adds it at the end.
func with(fs []frame.Field, name, value string) []frame.Field {
	out := append([]frame.Field(nil), fs...)
	for i := range out {
		if out[i].Name == name {
			out[i].Value = value
			return out
		}
	}
	return append(out, frame.Field{Name: name, Value: value})
}

// problem takes the *Problem out of a parser's error.
func problem(t testing.TB, err error) *Problem {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("error is %T (%v), want *Problem", err, err)
	}
	if p.Kind == 0 || p.Reason == "" {
		t.Fatalf("incomplete problem %+v", p)
	}
	for i := range len(p.Reason) {
		if c := p.Reason[i]; c < ' ' || c > '~' {
			t.Fatalf("reason %q is not printable ASCII", p.Reason)
		}
	}
	return p
}

// pack and unpack carry a block through a fuzz corpus: an octet of name
// length, an octet of value length, name, value.
func pack(fs []frame.Field) []byte {
	var b []byte
	for _, f := range fs {
		b = append(b, byte(len(f.Name)), byte(len(f.Value)))
		b = append(append(b, f.Name...), f.Value...)
	}
	return b
}

func unpack(b []byte) []frame.Field {
	var fs []frame.Field
	for len(b) >= 2 {
		n, v := int(b[0]), int(b[1])
		b = b[2:]
		n = min(n, len(b))
		v = min(v, len(b)-n)
		fs = append(fs, frame.Field{Name: string(b[:n]), Value: string(b[n : n+v])})
		b = b[n+v:]
	}
	return fs
}
