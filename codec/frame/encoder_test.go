package frame

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"pgregory.net/rapid"
)

// inWireOrder is where the Encoder puts fields: those that vary come last.
func inWireOrder(fields []Field) []Field {
	out := slices.Clone(fields)
	slices.SortStableFunc(out, func(a, b Field) int { return cmp.Compare(late(a), late(b)) })
	return out
}

func late(f Field) int {
	if variesPerCall(f.Name) {
		return 1
	}
	return 0
}

// decodeBlocks reads header blocks with x/net's own Framer and checks.
func decodeBlocks(t interface{ Fatal(...any) }, wire []byte) (out [][]Field, sizes []int) {
	fr := http2.NewFramer(nil, bytes.NewReader(wire))
	dec := hpack.NewDecoder(DefaultTableSize, nil)
	var p []byte
	for {
		f, err := fr.ReadFrame()
		if err == io.EOF {
			return out, sizes
		}
		if err != nil {
			t.Fatal(err)
		}
		ended := false
		switch f := f.(type) {
		case *http2.HeadersFrame:
			p, ended = append(p[:0], f.HeaderBlockFragment()...), f.HeadersEnded()
		case *http2.ContinuationFrame:
			p, ended = append(p, f.HeaderBlockFragment()...), f.HeadersEnded()
		}
		if ended {
			fields, err := dec.DecodeFull(p)
			if err != nil {
				t.Fatal(err)
			}
			out, sizes = append(out, fields), append(sizes, len(p))
		}
	}
}

func TestRepeatedBlocksShrinkAndStaySmall(t *testing.T) {
	e := NewEncoder()
	var wire []byte
	for i := range 20 {
		wire = e.AppendHeaders(wire, StreamID(2*i+1), requestFields(fmt.Sprintf("%du", 9000000+i)), false, MinMaxFrameSize)
	}
	blocks, sizes := decodeBlocks(t, wire)
	for i, got := range blocks {
		if diff := gocmp.Diff(inWireOrder(requestFields(fmt.Sprintf("%du", 9000000+i))), got); diff != "" {
			t.Fatalf("block %d: %s", i, diff)
		}
	}
	// Seven indexed fields, the name of the timeout by reference, its value.
	for i, n := range sizes[1:] {
		if want := 7 + 2 + 1 + 8; n > want {
			t.Errorf("block %d takes %d octets, want at most %d", i+1, n, want)
		}
	}
}

func TestBlocksAreCutAtTheFrameLimit(t *testing.T) {
	fields := []Field{field("big", strings.Repeat("?", 50000)), field("b", "c")}
	for _, limit := range []uint32{MinMaxFrameSize, 20000, 1 << 20} {
		wire := NewEncoder().AppendHeaders([]byte{}, 1, fields, true, limit)
		for rest := wire; len(rest) > 0; {
			n := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
			if n > int(limit) {
				t.Fatalf("a frame of %d octets, limit %d", n, limit)
			}
			rest = rest[HeaderLen+n:]
		}
		r := NewReader(pieces(wire), ReaderConfig{MaxHeaderList: 60000, MaxFrameSize: limit})
		frames, err := readAll(r)
		if err != io.EOF {
			t.Fatal(err)
		}
		want := []Frame{&Headers{StreamID: 1, EndStream: true, Fields: fields}}
		if diff := gocmp.Diff(want, frames, contents); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTableSizeUpdateOpensTheNextBlock(t *testing.T) {
	e := NewEncoder()
	timeout := []Field{field("grpc-timeout", "1S")}
	wire := e.AppendHeaders(nil, 1, requestFields("1S"), true, MinMaxFrameSize)
	wire = e.AppendHeaders(wire, 3, requestFields("2S"), true, MinMaxFrameSize)
	want := [][]Field{inWireOrder(requestFields("1S")), inWireOrder(requestFields("2S"))}
	for i, size := range []uint32{0, 100, 4096, 1 << 20} {
		e.SetMaxTableSize(size)
		at := len(wire)
		wire = e.AppendHeaders(wire, 5, timeout, true, MinMaxFrameSize)
		if i < 3 && wire[at+HeaderLen]&0xe0 != reprTableSize {
			t.Errorf("size %d: the block begins with %#x", size, wire[at+HeaderLen])
		}
		wire = e.AppendHeaders(wire, 7, requestFields("3S"), true, MinMaxFrameSize)
		want = append(want, timeout, inWireOrder(requestFields("3S")))
	}
	got, _ := decodeBlocks(t, wire)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestShrinkingAndGrowingTakesTwoBlocks(t *testing.T) {
	e := NewEncoder()
	list := []Field{field("k", "v")}
	wire := e.AppendHeaders(nil, 1, list, true, MinMaxFrameSize)
	e.SetMaxTableSize(64)
	e.SetMaxTableSize(1000)
	wire = e.AppendHeaders(wire, 3, list, true, MinMaxFrameSize)
	wire = e.AppendHeaders(wire, 5, list, true, MinMaxFrameSize)
	wire = e.AppendHeaders(wire, 7, list, true, MinMaxFrameSize)
	got, sizes := decodeBlocks(t, wire)
	if diff := gocmp.Diff([][]Field{list, list, list, list}, got); diff != "" {
		t.Error(diff)
	}
	// 64 takes two octets, 1000 three, the field one.
	if diff := gocmp.Diff([]int{3, 4, 1}, sizes[1:]); diff != "" {
		t.Error(diff)
	}
}

func TestAnyListsSurvive(t *testing.T) {
	names := rapid.SampledFrom([]string{":path", ":method", "te", "a", "b", "grpc-timeout", "grpc-message", "content-length", "x-request-id", "long-name-that-is-new"})
	values := rapid.OneOf(rapid.SampledFrom([]string{"", "POST", "trailers", "1", "2", "3"}), rapid.StringN(0, 300, 400))
	rapid.Check(t, func(t *rapid.T) {
		e := NewEncoder()
		var wire []byte
		var want [][]Field
		pool := make([][]Field, 5)
		for i := range pool {
			for range rapid.IntRange(0, 12).Draw(t, "fields") {
				pool[i] = append(pool[i], Field{
					Name: names.Draw(t, "name"), Value: values.Draw(t, "value"), Sensitive: rapid.IntRange(0, 9).Draw(t, "s") == 0,
				})
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "blocks") {
			if rapid.IntRange(0, 9).Draw(t, "resize") == 0 {
				e.SetMaxTableSize(rapid.SampledFrom([]uint32{0, 64, 200, 1000, 4096}).Draw(t, "size"))
			}
			list := rapid.SampledFrom(pool).Draw(t, "list")
			if rapid.Bool().Draw(t, "part") {
				list = list[:rapid.IntRange(0, len(list)).Draw(t, "n")]
			}
			wire = e.AppendHeaders(wire, 1, list, false, uint32(rapid.SampledFrom([]int{10, 300, MinMaxFrameSize}).Draw(t, "max")))
			want = append(want, list)
		}
		check := func(i int, got []Field) {
			if diff := gocmp.Diff(tidy(want[i]), tidy(got), emptyIsNil); diff != "" {
				t.Fatalf("block %d: %s", i, diff)
			}
		}
		theirs, _ := decodeBlocks(t, wire)
		for i := range theirs {
			check(i, theirs[i])
		}
		frames, err := readAll(NewReader(pieces(wire), ReaderConfig{MaxContinuations: 1 << 20}))
		if err != io.EOF {
			t.Fatal(err)
		}
		n := 0
		for _, f := range frames {
			if h, ok := f.(*Headers); ok {
				check(n, h.Fields)
				n++
			}
		}
		if n != len(want) || len(theirs) != n {
			t.Fatalf("%d and %d blocks, want %d", n, len(theirs), len(want))
		}
	})
}

// tidy sorts by name, stably: the order of fields with different names is the
// Encoder's choice.
func tidy(fields []Field) []Field {
	out := slices.Clone(fields)
	slices.SortStableFunc(out, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func TestAppendedFramesAreReadBack(t *testing.T) {
	want := []Frame{
		&Settings{Values: []Setting{{SettingHeaderTableSize, 4096}, {SettingMaxFrameSize, 1<<24 - 1}}},
		&Settings{Ack: true},
		&Ping{Ack: true, Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
		&GoAway{LastStreamID: MaxStreamID, Code: HTTP11Required, Debug: []byte("why")},
		&WindowUpdate{StreamID: 5, Slot: NoSlot, Increment: MaxWindow},
		&RSTStream{StreamID: MaxStreamID, Code: RefusedStream},
	}
	var wire []byte
	for _, f := range want {
		wire = AppendControl(wire, f.(Control))
	}
	got, err := readAll(NewReader(pieces(wire), ReaderConfig{}))
	if err != io.EOF {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
