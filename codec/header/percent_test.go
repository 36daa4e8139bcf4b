package header

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEncodeMessage(t *testing.T) {
	for in, want := range map[string]string{
		"":          "",
		"plain ~":   "plain ~",
		"100%":      "100%25",
		" padded ":  "%20padded%20",
		"a\r\nb\t":  "a%0D%0Ab%09",
		"☺😈":        "%E2%98%BA%F0%9F%98%88",
		"bad\xff":   "bad%EF%BF%BD",
		"del\x7f":   "del%7F",
		"nul\x00in": "nul%00in",
	} {
		if got := EncodeMessage(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDecodeMessageNeverLosesText(t *testing.T) {
	for in, want := range map[string]string{
		"":           "",
		"plain":      "plain",
		"a%0Db":      "a\rb",
		"%e2%98%ba":  "☺",
		"%":          "%",
		"%4":         "%4",
		"100%":       "100%",
		"%zz%41":     "%zzA",
		"%%41":       "%A",
		"%\xff":      "%\uFFFD",
		"%ff":        "\uFFFD",
		"raw ☺ text": "raw ☺ text",
	} {
		if got := DecodeMessage(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMessageComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "message")
		e := EncodeMessage(s)
		if !validValue(e) || strings.Trim(e, " \t") != e {
			t.Fatalf("%q is no field value", e)
		}
		if got := DecodeMessage(e); got != strings.ToValidUTF8(s, "\uFFFD") {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "a b", "%", "%4", "%41%", "%E2%98%BA", "\xff\x00", "\t\ntest\r\n😈"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := DecodeMessage(s); !utf8.ValidString(d) {
			t.Fatalf("%q decodes to %q", s, d)
		}
		if got := DecodeMessage(EncodeMessage(s)); got != strings.ToValidUTF8(s, "\uFFFD") {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

func BenchmarkEncodeMessagePlain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		EncodeMessage("no such user: 1234567890")
	}
}
