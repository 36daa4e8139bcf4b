package header

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDecodeBin(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "aGk": "hi", "aGk=": "hi", "aA": "h", "aA==": "h", "aGkh": "hi!", " aGk ": "hi", "AAEC/+8": "\x00\x01\x02\xff\xef",
	} {
		if got, err := DecodeBin(in); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"a", "aGk!", "aGk==", "aA=", "====", "=", "a-_b", "aGk,aGk", "a\nGk", "aaaaa", "a=aa"} {
		if got, err := DecodeBin(in); err == nil {
			t.Errorf("%q was read as %q", in, got)
		}
		if strings.Contains(in, ",") {
			continue
		}
		if validBin(in) {
			t.Errorf("%q passes as valid", in)
		}
	}
}

func TestBinComesBackPaddedOrNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "raw"))
		for _, e := range []string{EncodeBin(raw), base64.StdEncoding.EncodeToString([]byte(raw))} {
			if got, err := DecodeBin(e); err != nil || got != raw {
				t.Fatalf("%q: %q %v", e, got, err)
			}
		}
	})
}

func FuzzDecodeBin(f *testing.F) {
	for _, s := range []string{"", "aGk", "aGk=", "aA==", "aGk,aGk=", ",,", "=", "====", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := DecodeBin(s)
		if !strings.Contains(s, ",") && validBin(s) != (err == nil) {
			t.Fatalf("%q: valid %v, decoded %v", s, validBin(s), err)
		}
		if err != nil {
			return
		}
		if again, err := DecodeBin(EncodeBin(raw)); err != nil || again != raw {
			t.Fatalf("%q: %q then %q %v", s, raw, again, err)
		}
	})
}
