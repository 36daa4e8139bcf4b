package header

import (
	"strings"
	"testing"
)

func TestValidValueFindsEveryOctetAtEveryPlace(t *testing.T) {
	for c := range 256 {
		want := c >= 0x20 && c != 0x7f || c == '\t'
		for n := 1; n <= 20; n++ {
			for at := range n {
				for _, fill := range []string{"a", "\xff", " "} {
					b := []byte(strings.Repeat(fill, n))
					b[at] = byte(c)
					if got := validValue(string(b)); got != want {
						t.Fatalf("octet %#x at %d of %d: %v", c, at, n, got)
					}
				}
			}
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "x-y_z.0": true, "grpc-status": true, "!#$%&'*+-.^_`|~": true,
		"": false, "A": false, "x-Y": false, "a b": false, "a:b": false, "a\x00": false, "é": false, "a\n": false,
	} {
		if got := validName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestCheckTrailer(t *testing.T) {
	if err := CheckTrailer(fields("a", "b", "c-bin", "!")); err != nil {
		t.Errorf("well-formed: %v", err)
	}
	for name, fs := range map[string][]string{
		"pseudo-field":        {":path", "/"},
		"late pseudo-field":   {"a", "b", ":status", "200"},
		"upper case":          {"A", "b"},
		"line break":          {"a", "b\r\nc"},
		"connection-specific": {"transfer-encoding", "chunked"},
	} {
		err := CheckTrailer(fields(fs...))
		if err == nil || problem(t, err).Kind != Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEscapeIsOneClippedPrintableLine(t *testing.T) {
	for _, s := range []string{"", "plain", "a\r\nb", "\x00\xff", "ü", strings.Repeat("\x00", 1<<16)} {
		e := Escape(s)
		if len(e) > 4*maxEscaped+40 {
			t.Errorf("%d octets became %d", len(s), len(e))
		}
		for i := range len(e) {
			if e[i] < ' ' || e[i] > '~' {
				t.Errorf("%q became %q", s, e)
			}
		}
	}
}

func BenchmarkValidValue(b *testing.B) {
	s := strings.Repeat("grpc-go/1.85.0 ", 8)
	for b.Loop() {
		if !validValue(s) {
			b.Fatal()
		}
	}
}
