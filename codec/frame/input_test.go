package frame

import (
	"io"
	"testing"
)

func TestNoBufferIsHeldWhileAPeerDribbles(t *testing.T) {
	in := join(AppendPing(nil, &Ping{}), begin(1), raw(typeSettings, 0, 0, make([]byte, 36)...))
	src := &reads{script: *pieces(bytewise(in)...)}
	var r *Reader
	src.held = func() bool { return r.in.buf != nil }
	r = NewReader(src, ReaderConfig{})
	frames, err := readAll(r)
	if err != io.EOF || len(frames) != 3 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	if src.bad {
		t.Error("the read buffer is held while waiting")
	}
}

// idle never has anything to say.
type idle struct{}

func (idle) WaitReadable() error      { return nil }
func (idle) Read([]byte) (int, error) { return 0, nil }

func TestSourceWithoutProgressIsGivenUp(t *testing.T) {
	if err := NewReader(idle{}, ReaderConfig{}).ReadBatch(NewBatch()); err != io.ErrNoProgress {
		t.Error(err)
	}
}

func TestFrameLargerThanTheBuffer(t *testing.T) {
	list := []Field{{Name: "a", Value: string(make([]byte, 10000)), Sensitive: true}}
	wire := NewEncoder().AppendHeaders(nil, 1, list, true, MinMaxFrameSize)
	frames, err := readAll(NewReader(pieces(wire[:200], wire[200:]), ReaderConfig{BufferSize: 64}))
	if err != io.EOF || len(frames) != 1 || frames[0].(*Headers).Fields[0] != list[0] {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

func TestSmallerTableIsEnforced(t *testing.T) {
	r := NewReader(pieces(raw(typeHeaders, flagEndHeaders, 1, 0x3f, 0x61, 0x82)), ReaderConfig{HeaderTableSize: 64})
	r.SetHeaderTableSize(64)
	if _, err := readAll(r); err == io.EOF {
		t.Error("a table of 128 octets was let through")
	}
	r = NewReader(pieces(raw(typeHeaders, flagEndHeaders, 1, 0x3f, 0xe1, 0x3f, 0x82)), ReaderConfig{HeaderTableSize: 8192})
	if _, err := readAll(r); err != io.EOF {
		t.Errorf("a table of the announced 8192 octets: %v", err)
	}
}
