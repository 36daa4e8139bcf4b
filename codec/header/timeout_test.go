package header

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTimeout(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0n": 0, "1n": 1, "1u": time.Microsecond, "1m": time.Millisecond, "1S": time.Second,
		"1M": time.Minute, "1H": time.Hour, "00000010S": 10 * time.Second,
		"99999999n": 99999999, "99999999M": 99999999 * time.Minute,
		"99999999H": math.MaxInt64, "2562047H": 2562047 * time.Hour, "2562048H": math.MaxInt64,
	} {
		if got, err := ParseTimeout(in); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "S", "1", "10", "1s", "1h", "-1S", "+1S", " 1S", "1S ", "1.5S", "0x1S", "1_0S", "123456789S", "1SS", "1\x00", "९S"} {
		if got, err := ParseTimeout(in); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func TestEncodeTimeout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0n", 0: "0n", 1: "1n", time.Millisecond: "1000000n",
		time.Millisecond + 1:            "1001u",
		100 * time.Millisecond:          "100000u",
		time.Second:                     "1000000u",
		time.Second + 1:                 "1001m",
		10*time.Second - 5_000:          "10000m",
		10 * time.Second:                "10000m",
		99_999_999 * time.Millisecond:   "99999999m",
		99_999_999*time.Millisecond + 1: "100000S",
		99_999_999 * time.Second:        "99999999S",
		math.MaxInt64:                   "2562048H",
	} {
		if got := EncodeTimeout(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestTimeoutIsNeverShortenedAndHardlyLengthened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "d"))
		if rapid.Bool().Draw(t, "short") {
			d %= 1 << 40
		}
		s := EncodeTimeout(d)
		got, err := ParseTimeout(s)
		if err != nil {
			t.Fatalf("%v became %q: %v", d, s, err)
		}
		if got < d || float64(got-d) > float64(d)/1000 {
			t.Fatalf("%v became %v", d, got)
		}
	})
}

func FuzzParseTimeout(f *testing.F) {
	for _, s := range []string{"1S", "99999999H", "0n", "", "12345678u", "123456789m", "-1S"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseTimeout(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is %v", s, d)
		}
		if again, err := ParseTimeout(EncodeTimeout(d)); err != nil || again < d {
			t.Fatalf("%q is %v, then %v %v", s, d, again, err)
		}
	})
}

func BenchmarkEncodeTimeout(b *testing.B) {
	b.ReportAllocs()
	d := 10 * time.Second
	for b.Loop() {
		EncodeTimeout(d - 1234)
	}
}
