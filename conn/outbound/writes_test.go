package outbound

import (
	"testing"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func TestPayloadsAreReleasedBehindTheWriteThatRefersToThem(t *testing.T) {
	r := newRig(t, true)
	r.post(frame.Outgoing{StreamID: 1, Header: block("h"), EndStream: true}, 16384+5)
	b := r.payloads[0]
	b.Release() // the test's own: what is left is the queue's
	r.payloads = nil
	var w Writes
	r.q.Fill(&w, all)
	// The tail of 5 octets was copied, the first frame was not.
	if len(w.Segments) != 3 || len(w.Release) != 1 || b.B == nil {
		t.Fatalf("%d segments, %d to release", len(w.Segments), len(w.Release))
	}
	w.Reset()
	if b.B != nil {
		t.Error("not released with the write")
	}
	if w.Segments != nil || w.Head != nil || w.Release != nil {
		t.Error("an idle connection holds buffers")
	}
}

func TestAResetDoesNotReleaseWhatIsBeingWritten(t *testing.T) {
	r := newRig(t, true)
	r.post(frame.Outgoing{StreamID: 1, Header: block("h"), EndStream: true}, 100_000)
	b := r.payloads[0]
	var w Writes
	r.q.Fill(&w, 20_000)
	r.post(frame.Outgoing{StreamID: 1, Reset: true, Last: true}, -1)
	b.Release()
	r.payloads = nil
	if b.B == nil {
		t.Fatal("released ahead of the write")
	}
	w.Reset()
	r.fill(all)
	if b.B != nil {
		t.Error("never released")
	}
}
