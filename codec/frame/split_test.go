package frame

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// summary is what a run of frames amounts to, whatever the batches were: how
// octets fell into reads decides only how DATA events are merged.
type summary struct {
	Frames  []Frame // all but DATA, copied
	Streams map[StreamID]*received
	Err     string
}

type received struct {
	Size     int
	Messages []string
	Pending  int
	Ended    bool
	Faults   []FaultKind
}

func summarize(frames []Frame, err error) summary {
	s := summary{Streams: map[StreamID]*received{}}
	if err != nil {
		s.Err = err.Error()
	}
	for _, f := range frames {
		d, ok := f.(*Data)
		if !ok {
			s.Frames = append(s.Frames, f)
			continue
		}
		st := s.Streams[d.StreamID]
		if st == nil {
			st = &received{}
			s.Streams[d.StreamID] = st
		}
		st.Size += d.Size
		st.Pending = d.Pending
		st.Ended = st.Ended || d.EndStream
		if d.Message != nil {
			st.Messages = append(st.Messages, string(d.Message.B))
		}
		if d.Fault != nil {
			st.Faults = append(st.Faults, d.Fault.Kind)
		}
	}
	return s
}

// conversation has a bit of everything.
func conversation() []byte {
	e := NewEncoder()
	var p []byte
	p = AppendSettings(p, &Settings{Values: []Setting{{SettingInitialWindowSize, 1 << 20}}})
	p = e.AppendHeaders(p, 1, requestFields("99m"), false, MinMaxFrameSize)
	p = append(p, raw(typeData, flagEndStream, 1, message(0, []byte("hello"))...)...)
	p = e.AppendHeaders(p, 3, requestFields("98m"), false, 16)
	p = AppendWindowUpdate(p, 0, 77)
	two := join(message(1, []byte("first")), message(0, bytes.Repeat([]byte("s"), 300)))
	p = append(p, raw(typeData, flagPadded, 3, join([]byte{3}, two[:100], []byte{0, 0, 0})...)...)
	p = AppendPing(p, &Ping{Data: [8]byte{1}})
	p = e.AppendHeaders(p, 5, requestFields("97m"), true, MinMaxFrameSize)
	p = append(p, raw(typeData, 0, 3, two[100:]...)...)
	p = append(p, raw(0x99, 0, 3, 1, 2, 3)...)
	p = append(p, raw(typePriority, 0, 3, 0, 0, 0, 0, 0)...)
	p = append(p, raw(typeData, 0, 3, message(0, nil)...)...)
	p = append(p, raw(typeData, 0, 3)...)
	p = append(p, raw(typeData, 0, 3, message(0, []byte("cut"))[:6]...)...)
	p = e.AppendHeaders(p, 3, trailerFields(), true, MinMaxFrameSize)
	p = AppendRSTStream(p, 5, Cancel)
	p = append(p, raw(typeData, 0, 5, 1, 2, 3)...)
	return AppendGoAway(p, &GoAway{LastStreamID: 5, Debug: []byte("bye")})
}

func TestSplitAnywhereGivesTheSame(t *testing.T) {
	in := conversation()
	want := summarize(readAll(NewReader(pieces(in), ReaderConfig{})))
	if want.Err != io.EOF.Error() {
		t.Fatal(want.Err)
	}
	for i := range in {
		got := summarize(readAll(NewReader(pieces(in[:i], in[i:]), ReaderConfig{})))
		if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
			t.Fatalf("cut at %d: %s", i, diff)
		}
	}
	got := summarize(readAll(NewReader(pieces(bytewise(in)...), ReaderConfig{})))
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Fatalf("one octet at a time: %s", diff)
	}
}

func TestRandomFramesInRandomPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []byte
		for range rapid.IntRange(1, 30).Draw(t, "frames") {
			in = append(in, randomFrame(t)...)
		}
		whole := summarize(readAll(NewReader(pieces(in), ReaderConfig{MaxMessage: 1 << 16})))
		var cut [][]byte
		for rest := in; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
		size := rapid.SampledFrom([]int{16, 100, 32 << 10}).Draw(t, "buffer")
		got := summarize(readAll(NewReader(pieces(cut...), ReaderConfig{MaxMessage: 1 << 16, BufferSize: size})))
		if diff := cmp.Diff(whole, got, emptyIsNil); diff != "" {
			t.Fatal(diff)
		}
	})
}

// randomFrame is mostly well formed, so that runs get somewhere.
func randomFrame(t *rapid.T) []byte {
	id := StreamID(rapid.IntRange(1, 3).Draw(t, "id"))
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return raw(byte(rapid.IntRange(0, 10).Draw(t, "type")), byte(rapid.IntRange(0, 0x2f).Draw(t, "flags")), id,
			rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "payload")...)
	case 1, 2:
		return raw(typeHeaders, flagEndHeaders|byte(rapid.IntRange(0, 1).Draw(t, "end")), id, 0x82, 0x40, 1, 'k', 1, 'v')
	case 3:
		return AppendWindowUpdate(nil, id, rapid.Uint32Range(0, 2).Draw(t, "n"))
	case 4:
		return AppendPing(nil, &Ping{})
	case 5:
		// Not a whole message: the next DATA goes on with whatever it holds.
		return raw(typeData, 0, id, message(0, make([]byte, 5000))[:rapid.IntRange(0, 5005).Draw(t, "part")]...)
	default:
		n := rapid.IntRange(0, 12000).Draw(t, "n")
		return raw(typeData, byte(rapid.IntRange(0, 1).Draw(t, "end")), id, message(byte(n&1), make([]byte, n))...)
	}
}

func TestMessagesSurviveAnyFraming(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &account{limit: 1 << 30}
		want := map[StreamID]*received{}
		left := map[StreamID][]byte{}
		var in []byte
		ids := []StreamID{1, 3, 5}
		for _, id := range ids {
			in = append(in, begin(id)...)
			st := &received{Ended: true}
			for range rapid.IntRange(0, 4).Draw(t, "messages") {
				m := make([]byte, rapid.OneOf(rapid.IntRange(0, 10), rapid.IntRange(0, 60000)).Draw(t, "size"))
				for i := range m {
					m[i] = byte(i) + byte(id)
				}
				st.Messages = append(st.Messages, string(m))
				left[id] = append(left[id], message(0, m)...)
			}
			want[id] = st
		}
		for len(ids) > 0 {
			i := rapid.IntRange(0, len(ids)-1).Draw(t, "stream")
			id := ids[i]
			n := rapid.IntRange(0, min(len(left[id]), MinMaxFrameSize)).Draw(t, "n")
			end := n == len(left[id])
			in = AppendDataHeader(in, id, n, end)
			in = append(in, left[id][:n]...)
			left[id] = left[id][n:]
			want[id].Size += n
			if end {
				ids = append(ids[:i:i], ids[i+1:]...)
			}
		}
		r := NewReader(pieces(in[:len(in)/2], in[len(in)/2:]), ReaderConfig{Room: a})
		got := summarize(readAll(r))
		if diff := cmp.Diff(want, got.Streams, emptyIsNil); diff != "" {
			t.Fatal(diff)
		}
		if a.held != 0 || r.asm.newest != nil || len(r.asm.others) != 0 {
			t.Fatalf("left behind: %d octets, %d streams", a.held, len(r.asm.others))
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(conversation(), uint16(100))
	f.Add(join(begin(1), raw(typeData, 0, 1, message(0, make([]byte, 9000))[:5000]...)), uint16(20))
	f.Add(join(raw(typeHeaders, 0, 1, 0x82), repeat(70, raw(typeContinuation, 0, 1))), uint16(1))
	f.Add(raw(typeHeaders, flagEndHeaders, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), uint16(3))
	f.Add(raw(typeHeaders, flagEndHeaders, 1, 0x3f, 0xe1, 0x1f, 0x20, 0x82, 0x10, 0x01, 'a', 0x00), uint16(3))
	f.Add(raw(typeSettings, 0, 0, make([]byte, 32*settingLen)...), uint16(8))
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		const limit = 1 << 16
		a := &account{limit: 4 * limit}
		cfg := ReaderConfig{MaxMessage: limit, Room: a}
		at := min(int(cut), len(in))
		r := NewReader(pieces(in[:at], in[at:]), cfg)
		whole := NewReader(pieces(in), cfg)
		frames, err := readAll(r)
		if len(frames) > len(in)+2 {
			t.Fatalf("%d frames of %d octets", len(frames), len(in))
		}
		var ce *ConnError
		if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.As(err, &ce) {
			t.Fatalf("an error of its own: %v", err)
		}
		for _, fr := range frames {
			switch fr := fr.(type) {
			case *Headers:
				if len(fr.Fields) > DefaultMaxHeaderFields {
					t.Fatalf("%d fields", len(fr.Fields))
				}
			case *GoAway:
				if len(fr.Debug) > MaxDebugData {
					t.Fatalf("%d octets of debug data", len(fr.Debug))
				}
			}
		}
		if a.peak > 4*limit || a.held < 0 {
			t.Fatalf("budget: %d held, %d at most", a.held, a.peak)
		}
		r.Close()
		if a.held != 0 {
			t.Fatalf("%d octets never paid back", a.held)
		}
		// The budget decides differently when messages are whole in the
		// buffer; without faults the cut must not matter.
		got, want := summarize(frames, err), summarize(readAll(whole))
		if a.peak < 3*limit {
			if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
				t.Fatal(diff)
			}
		}
		whole.Close()
	})
}
