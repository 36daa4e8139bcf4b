package frame

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestShapeOfABlock(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want blockShape
	}{
		{"empty", nil, blockShape{0, true, false}},
		{"indexed", []byte{0x82, 0xff, 0x10, 0xbe}, blockShape{4, true, false}},
		{"literal behind indexed", []byte{0x82, 0x00, 1, 'a', 1, 'b', 0x83}, blockShape{1, true, false}},
		{"named by index", []byte{0x0f, 0x05, 1, 'b', 0x11, 0x00}, blockShape{0, true, false}},
		{"incremental", []byte{0x82, 0x41, 1, 'b'}, blockShape{1, false, false}},
		{"resize", []byte{0x20, 0x82}, blockShape{0, false, false}},
		{"resize twice", []byte{0x3f, 0x00, 0x20, 0x82}, blockShape{0, false, false}},
		{"resize behind a field", []byte{0x82, 0x20}, blockShape{1, false, true}},
		{"resize behind a literal", []byte{0x20, 0x00, 1, 'a', 1, 'b', 0x20}, blockShape{0, false, true}},
		{"cut off in an index", []byte{0x82, 0xff}, blockShape{0, false, false}},
		{"cut off in a literal", []byte{0x82, 0x00, 1, 'a', 5, 'b'}, blockShape{1, false, false}},
		{"endless integer", append([]byte{0x82, 0x00, 0x7f}, bytes.Repeat([]byte{0xff}, 20)...), blockShape{1, false, false}},
	}
	for _, tt := range tests {
		if got := shapeOf(tt.in); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// FuzzBlock holds the two ways of decoding a block against each other: with
// what was remembered of earlier blocks, and by x/net alone.
func FuzzBlock(f *testing.F) {
	f.Add(block(requestFields("1S")...), []byte{0x82, 0xc3, 0xbe, 0x0f, 0x2f, 1, '2'})
	f.Add(block(trailerFields()...), []byte{0xbf, 0xbe})
	f.Add([]byte{0x20, 0x82}, []byte{0x82, 0x20})
	f.Add([]byte{0x40, 0x01, 'a', 0x01, 'b'}, []byte{0xbe, 0xbe, 0x10, 0x01, 'c', 0x81, 0xff})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var got, want []Field
		var d blockDecoder
		d.init(&limits{MaxHeaderList: 1 << 24, MaxHeaderFields: 1 << 20})
		plain := hpack.NewDecoder(DefaultTableSize, func(f hpack.HeaderField) { want = append(want, f) })
		plain.SetMaxStringLength(2 << 24)
		for i, p := range [][]byte{a, b, b, a, b, b} {
			if n := skipInt(p, 0, bitsTableSize); len(p) > 0 && p[0]>>5 == 1 && n > 0 && n < len(p) && p[n]>>5 == 1 {
				return // x/net refuses a second size update
			}
			h := &Headers{}
			d.begin(h)
			err := d.write(p, true, true)
			if err == nil {
				err = d.end()
			}
			got = h.Fields
			want = nil
			_, err2 := plain.Write(p)
			if err2 == nil {
				err2 = plain.Close()
			}
			if shapeOf(p).resized {
				if err == nil {
					t.Fatalf("block %d: a misplaced size update passed", i)
				}
				return // x/net is more lenient here
			}
			if (err == nil) != (err2 == nil) {
				t.Fatalf("block %d: %v, x/net says %v", i, err, err2)
			}
			if err != nil {
				return
			}
			if len(got) != len(want) {
				t.Fatalf("block %d: %d fields, x/net finds %d", i, len(got), len(want))
			}
			size := 0
			for j := range want {
				size += int(want[j].Size())
				if got[j] != want[j] {
					t.Fatalf("block %d field %d: %v, x/net finds %v", i, j, got[j], want[j])
				}
			}
			if d.size != size || d.count != len(want) {
				t.Fatalf("block %d: counted %d, %d; want %d, %d", i, d.size, d.count, size, len(want))
			}
		}
	})
}

func TestStringsAreCompressedWhenItPays(t *testing.T) {
	for _, s := range []string{"", "12345678u", strings.Repeat("a", 24), strings.Repeat("a", 25), strings.Repeat("a", 300), strings.Repeat("\x01", 300)} {
		lit := append([]byte{0x00, 0x01, 'n'}, appendString(nil, s)...)
		fields, err := hpack.NewDecoder(DefaultTableSize, nil).DecodeFull(lit)
		if err != nil || len(fields) != 1 || fields[0].Value != s {
			t.Errorf("%d octets: %v, %v", len(s), fields, err)
		}
		if len(lit) > len(s)+3+3 {
			t.Errorf("%d octets became %d", len(s), len(lit))
		}
	}
}
