package callboard

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/connectivity"
)

// What others have written can neither forge lines of a log nor flood it.
func FuzzWhyText(f *testing.F) {
	for _, s := range []string{"plain", "two\nlines", "\x00\xff\x1b[2J", strings.Repeat("x", 10_000), strings.Repeat("ü", 500), "\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w := Why{Target: "t", Path: "p", Cause: errors.New(s)}
		for range 20 {
			w.Subchannels = append(w.Subchannels, SubchannelWhy{
				Address: s, LastError: errors.New(s + "!"), State: connectivity.TransientFailure, NextAttempt: time.Unix(2, 0),
			})
		}
		for w.Stage = Resolving; w.Stage <= Retrying; w.Stage++ {
			text := w.text(nil, time.Unix(1, 0))
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%v: %q", w.Stage, text)
			}
			// Quoting makes of an octet four at most.
			if most := 4*(2*toldSubchannels+1)*toldError + 1000; len(text) > most {
				t.Errorf("%v: %d octets", w.Stage, len(text))
			}
		}
	})
}
