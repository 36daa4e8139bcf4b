package frame

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// begin makes a stream known.
func begin(id StreamID) []byte { return raw(typeHeaders, flagEndHeaders, id, 0x82) }

// told is a Data as a test sees it.
type told struct {
	ID         StreamID
	Size       int
	Message    string
	Compressed bool
	Pending    int
	End        bool
	Fault      FaultKind
}

const none = "(none)"

func tell(frames []Frame) (out []told) {
	for _, f := range frames {
		d, ok := f.(*Data)
		if !ok {
			continue
		}
		s := told{ID: d.StreamID, Size: d.Size, Message: none, Compressed: d.Compressed, Pending: d.Pending, End: d.EndStream}
		if d.Message != nil {
			s.Message = string(d.Message.B)
		}
		if d.Fault != nil {
			s.Fault = d.Fault.Kind
		}
		out = append(out, s)
	}
	return out
}

func TestMessagesAreAssembled(t *testing.T) {
	abc, de := message(0, []byte("abc")), message(1, []byte("de"))
	data := func(flags byte, p ...[]byte) []byte { return raw(typeData, flags, 1, join(p...)...) }
	tests := []struct {
		name string
		in   []byte
		want []told
	}{
		{"one in one frame", join(begin(1), data(flagEndStream, abc)), []told{{1, 8, "abc", false, 0, true, 0}}},
		{"two in one frame", join(begin(1), data(flagEndStream, abc, de)), []told{{1, 15, "abc", false, 0, false, 0}, {1, 0, "de", true, 0, true, 0}}},
		{"empty message", join(begin(1), data(0, message(0, nil))), []told{{1, 5, "", false, 0, false, 0}}},
		{"one in three frames", join(begin(1), data(0, abc[:2]), data(0, abc[2:6]), data(0, abc[6:])), []told{{1, 8, "abc", false, 0, false, 0}}},
		{"cut in its prefix", join(begin(1), data(0, abc[:2])), []told{{1, 2, none, false, 3, false, 0}}},
		{"cut behind its prefix", join(begin(1), data(0, abc[:6])), []told{{1, 6, none, false, 2, false, 0}}},
		{"one and a half", join(begin(1), data(0, abc, de[:6])), []told{{1, 14, "abc", false, 1, false, 0}}},
		{"END_STREAM behind the message", join(begin(1), data(0, abc), data(flagEndStream)), []told{{1, 8, "abc", false, 0, true, 0}}},
		{"padding counts", join(begin(1), data(flagPadded|flagEndStream, []byte{2}, abc, []byte{0, 0})), []told{{1, 11, "abc", false, 0, true, 0}}},
		{"only padding", join(begin(1), data(flagPadded, []byte{1}, []byte{0})), []told{{1, 2, none, false, 0, false, 0}}},
		{
			"two streams", join(begin(1), begin(3), data(0, abc[:6]), raw(typeData, flagEndStream, 3, de...), data(flagEndStream, abc[6:])),
			[]told{{1, 6, none, false, 2, false, 0}, {3, 7, "de", true, 0, true, 0}, {1, 2, "abc", false, 0, true, 0}},
		},

		{"stream never opened", data(flagEndStream, abc), []told{{1, 8, none, false, 0, true, 0}}},
		{"after END_STREAM", join(begin(1), data(flagEndStream), data(0, abc)), []told{{1, 0, none, false, 0, true, 0}, {1, 8, none, false, 0, false, 0}}},
		{"after RST_STREAM", join(begin(1), raw(typeRSTStream, 0, 1, 0, 0, 0, 8), data(0, abc)), []told{{1, 8, none, false, 0, false, 0}}},

		{"bad flag", join(begin(1), data(0, message(2, []byte("x"))), data(flagEndStream, abc)), []told{{1, 6, none, false, 0, false, BadFlag}, {1, 8, none, false, 0, true, 0}}},
		{"past the limit", join(begin(1), data(flagEndStream, []byte{0, 0, 0, 4, 1})), []told{{1, 5, none, false, 0, true, TooLarge}}},
		{"at the limit", join(begin(1), data(0, []byte{0, 0, 0, 4, 0})), []told{{1, 5, none, false, 1024, false, 0}}},
		{"cut off in its prefix", join(begin(1), data(flagEndStream, abc[:1])), []told{{1, 1, none, false, 0, true, Truncated}}},
		{"cut off", join(begin(1), data(flagEndStream, abc[:7])), []told{{1, 7, none, false, 0, true, Truncated}}},
		{"cut off behind a message", join(begin(1), data(flagEndStream, abc, de[:5])), []told{{1, 13, "abc", false, 0, false, 0}, {1, 0, none, false, 0, true, Truncated}}},
		{"cut off by an empty frame", join(begin(1), data(0, abc[:7]), data(flagEndStream)), []told{{1, 7, none, false, 1, false, 0}, {1, 0, none, false, 0, true, Truncated}}},
		{"cut off by trailers", join(begin(1), data(0, abc[:7]), raw(typeHeaders, flagEndHeaders|flagEndStream, 1, 0x82)), []told{{1, 7, none, false, 1, false, 0}, {1, 0, none, false, 0, false, Truncated}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frames, err := readAll(NewReader(pieces(tt.in), ReaderConfig{MaxMessage: 1024}))
			if err != io.EOF {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tell(frames)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEmptyDataIsAGlitch(t *testing.T) {
	in := join(begin(1), raw(typeData, 0, 1), raw(typeData, flagPadded, 1, 0), raw(typeData, flagEndStream, 1))
	frames, _ := readAll(NewReader(pieces(in), ReaderConfig{}))
	n := 0
	for _, f := range frames {
		if _, ok := f.(*Glitch); ok {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d glitches, want 2: END_STREAM excuses the last one", n)
	}
}

// account is a Room that remembers.
type account struct {
	held, peak, limit int
	tight             bool // nothing is charged on announcement
	grown             int  // by how much windows have grown
	covered           int  // of it in use
}

func (a *account) Announce(n int) bool { return !a.tight && a.Extend(n, 0) }

func (a *account) Extend(n, _ int) bool {
	if a.held+n > a.limit {
		return false
	}
	a.held += n
	a.peak = max(a.peak, a.held)
	return true
}

func (a *account) Cover(n int) bool {
	if a.covered+n > a.grown {
		return false
	}
	a.covered += n
	return true
}

func (a *account) Release(charged, covered int) {
	a.held -= charged
	a.covered -= covered
}

func TestBudgetIsAskedBeforeAndPaidBack(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 1000)
	half := func(id StreamID) []byte { return join(begin(id), raw(typeData, 0, id, message(0, big)[:500]...)) }
	a := &account{limit: 2500}
	src := pieces(half(1), half(3), half(5), raw(typeData, flagEndStream, 1, message(0, big)[500:]...))
	r := NewReader(src, ReaderConfig{Room: a})
	var all []told
	for range 4 {
		b := NewBatch()
		if err := r.ReadBatch(b); err != nil {
			t.Fatal(err)
		}
		all = append(all, tell(b.Frames)...)
	}
	want := []told{
		{1, 500, none, false, 505, false, 0},
		{3, 500, none, false, 505, false, 0},
		{5, 500, none, false, 0, false, NoBudget},
		{1, 505, string(big), false, 0, true, 0},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	if a.peak != 2000 || a.held != 1000 {
		t.Errorf("held %d at most and %d now, want 2000 and 1000", a.peak, a.held)
	}
	r.Forget(3)
	if a.held != 0 {
		t.Errorf("%d held after Forget", a.held)
	}
}

// While the budget is tight a message costs what has arrived of it, not what it
// was announced to be.
func TestMessageGrowsAsItArrives(t *testing.T) {
	body := bytes.Repeat([]byte("callboard"), 20_000)
	wire := message(0, body)
	a := &account{limit: 1 << 20, tight: true}
	ps := [][]byte{begin(1)}
	for at := 0; at < len(wire); at += 10_000 {
		ps = append(ps, raw(typeData, 0, 1, wire[at:min(at+10_000, len(wire))]...))
	}
	r := NewReader(pieces(ps...), ReaderConfig{Room: a})
	b := NewBatch()
	for range 2 {
		if err := r.ReadBatch(b); err != nil {
			t.Fatal(err)
		}
	}
	if a.held != tightStart {
		t.Errorf("%d held for a message of %d of which 10,000 arrived, want %d", a.held, len(body), tightStart)
	}
	frames, err := readAll(r)
	if err != io.EOF {
		t.Fatal(err)
	}
	got := tell(frames)
	if last := got[len(got)-1]; last.Message != string(body) {
		t.Errorf("the message arrived as %d octets, want %d", len(last.Message), len(body))
	}
	if a.held != 0 || a.peak != len(body) {
		t.Errorf("held %d at most and %d now, want %d and 0", a.peak, a.held, len(body))
	}
}

// Beyond its first part a message gets all the memory it lacks, if the window
// was grown for it.
func TestRestOfAMessageIsCovered(t *testing.T) {
	body := bytes.Repeat([]byte("callboard"), 20_000)
	wire := message(0, body)
	for _, tt := range []struct {
		name                     string
		grown                    int
		peak, covered, held, cut int // held and covered when cut octets have arrived
	}{
		{"before the first part is full", len(body), DefaultFirstPart, 0, DefaultFirstPart, DefaultFirstPart},
		{"with a window that has grown", len(body) - DefaultFirstPart, DefaultFirstPart, len(body) - DefaultFirstPart, DefaultFirstPart, 70_000},
		{"with one that has not", 0, len(body), 0, 2 * DefaultFirstPart, 70_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &account{limit: 1 << 20, grown: tt.grown}
			ps := [][]byte{begin(1)}
			for at := 0; at < len(wire); at += 10_000 {
				if at < tt.cut && tt.cut < at+10_000 {
					ps = append(ps, raw(typeData, 0, 1, wire[at:tt.cut]...), raw(typeData, 0, 1, wire[tt.cut:at+10_000]...))
					continue
				}
				ps = append(ps, raw(typeData, 0, 1, wire[at:min(at+10_000, len(wire))]...))
			}
			r := NewReader(pieces(ps...), ReaderConfig{Room: a})
			for arrived := 0; arrived < tt.cut; {
				b := NewBatch()
				if err := r.ReadBatch(b); err != nil {
					t.Fatal(err)
				}
				for _, d := range tell(b.Frames) {
					arrived += d.Size
				}
			}
			if a.held != tt.held || a.covered != tt.covered {
				t.Errorf("%d held and %d covered, want %d and %d", a.held, a.covered, tt.held, tt.covered)
			}
			frames, err := readAll(r)
			if err != io.EOF {
				t.Fatal(err)
			}
			got := tell(frames)
			if last := got[len(got)-1]; last.Message != string(body) {
				t.Errorf("the message arrived as %d octets, want %d", len(last.Message), len(body))
			}
			if a.held != 0 || a.covered != 0 || a.peak != tt.peak {
				t.Errorf("held %d at most and %d now, %d covered", a.peak, a.held, a.covered)
			}
		})
	}
}

func TestCloseGivesEverythingBack(t *testing.T) {
	a := &account{limit: 1 << 20}
	src := &script{err: io.ErrClosedPipe}
	for id := StreamID(1); id < 20; id += 2 {
		src.pieces = append(src.pieces, begin(id), raw(typeData, 0, id, message(0, make([]byte, 100))[:50]...))
	}
	src.pieces = append(src.pieces, raw(typeHeaders, 0, 21, 0x82))
	r := NewReader(src, ReaderConfig{Room: a})
	if _, err := readAll(r); err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	r.Close()
	if a.held != 0 || a.peak != 1000 {
		t.Errorf("held %d at most and %d now, want 1000 and 0", a.peak, a.held)
	}
}

func TestForgetInsideAFrameStillCountsIt(t *testing.T) {
	long := message(0, make([]byte, 9000))
	frame := raw(typeData, flagEndStream, 1, long...)
	src := pieces(join(begin(1), frame[:100]), join(frame[100:], raw(typePing, 0, 0, make([]byte, 8)...)))
	r := NewReader(src, ReaderConfig{})
	b := NewBatch()
	if err := r.ReadBatch(b); err != nil {
		t.Fatal(err)
	}
	r.Forget(1)
	frames, err := readAll(r)
	if err != io.EOF {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]told{{1, 9005, none, false, 0, true, 0}}, tell(frames)); diff != "" {
		t.Error(diff)
	}
	if _, ok := frames[len(frames)-1].(*Ping); !ok {
		t.Error("the frame behind it is lost")
	}
}

func TestLimitOfOneStreamCanBeHigher(t *testing.T) {
	r := NewReader(pieces(begin(1), begin(3),
		raw(typeData, 0, 1, message(0, make([]byte, 200))...),
		raw(typeData, 0, 3, message(0, make([]byte, 200))...)),
		ReaderConfig{MaxMessage: 100, Limit: func(id StreamID) int { return 100 * int(id) }})
	frames, _ := readAll(r)
	got := tell(frames)
	if len(got) != 2 || got[0].Fault != TooLarge || len(got[1].Message) != 200 {
		t.Errorf("%v", got)
	}
}

// reads records where a Source was read into.
type reads struct {
	script
	sizes []int
	held  func() bool
	bad   bool
}

func (s *reads) WaitReadable() error {
	s.bad = s.bad || s.held()
	return nil
}

func (s *reads) Read(p []byte) (int, error) {
	s.sizes = append(s.sizes, len(p))
	return s.script.Read(p)
}

func TestLargeMessageIsReadInPlace(t *testing.T) {
	msg := message(0, bytes.Repeat([]byte("m"), 16379))
	wire := raw(typeData, 0, 1, msg...)
	src := &reads{script: *pieces(join(begin(1), wire[:1000]), wire[1000:])}
	var r *Reader
	src.held = func() bool { return r.in.buf != nil }
	r = NewReader(src, ReaderConfig{})
	frames, err := readAll(r)
	if err != io.EOF {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{DefaultBufferSize, len(wire) - 1000, DefaultBufferSize}, src.sizes); diff != "" {
		t.Errorf("sizes of reads: %s", diff)
	}
	if src.bad {
		t.Error("the read buffer is held while waiting")
	}
	if got := tell(frames); len(got) != 1 || got[0].Message != string(msg[5:]) {
		t.Errorf("%d events", len(got))
	}
}

func TestBatchIsBounded(t *testing.T) {
	const n = 300
	in := begin(1)
	for range n {
		in = append(in, raw(typeData, 0, 1, message(0, []byte("x"))...)...)
	}
	in = append(in, raw(typeData, 0, 1, repeat(n, message(0, nil))...)...)
	r := NewReader(pieces(in), ReaderConfig{})
	total := 0
	for {
		b := NewBatch()
		err := r.ReadBatch(b)
		if len(b.Frames) > BatchCap {
			t.Fatalf("a batch of %d", len(b.Frames))
		}
		total += len(tell(b.Frames))
		b.Discard()
		if err != nil {
			break
		}
	}
	if total != 2*n {
		t.Errorf("%d messages, want %d", total, 2*n)
	}
}

func TestOpenBlockIsVisible(t *testing.T) {
	var r *Reader
	var seen []uint64
	src := &watch{script: *pieces(
		begin(1), raw(typeHeaders, 0, 3, 0x82), raw(typeContinuation, flagEndHeaders, 3, 0x82), raw(typePing, 0, 0, make([]byte, 8)...),
		begin(5)[:9], begin(5)[9:]), on: func() { seen = append(seen, r.OpenBlock()) }}
	r = NewReader(src, ReaderConfig{})
	_, _ = readAll(r)
	if diff := cmp.Diff("[0 0 2 0 0 3 0]", fmt.Sprint(seen)); diff != "" {
		t.Error(diff)
	}
}

type watch struct {
	script
	on func()
}

func (w *watch) WaitReadable() error { w.on(); return nil }
