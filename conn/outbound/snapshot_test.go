package outbound

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func TestSnapshotSaysWhatBlocks(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(1000+s, 0) }
	r := newRig(t, true)
	r.step(&PeerSettings{InitialWindow: 30_000, MaxHeaderListSize: 900})
	r.post(frame.Outgoing{StreamID: 1, Slot: 0, Header: block("a")}, 40_000)
	r.post(frame.Outgoing{StreamID: 3, Slot: 2, Header: block("b")}, -1)
	r.fill(all)
	r.q.Clock(at(5))
	r.post(frame.Outgoing{StreamID: 5, Slot: 3, Header: block("c")}, 30_000)
	r.post(frame.Outgoing{StreamID: 5, Slot: 3, EndStream: true}, -1)
	r.post(frame.Outgoing{StreamID: 7, Slot: 4, Header: block("d"), EndStream: true}, 20_000)
	r.post(frame.Outgoing{StreamID: 9, Slot: 5, Header: block("e"), Last: true}, -1)
	r.fill(all)
	r.q.Clock(at(8))
	var v View
	r.q.Snapshot(&v)
	want := View{
		Window: 0, Queued: 10_000 + 10_849 + 3_616, Turns: 2, Stuck: 1,
		Peer: PeerSettings{MaxFrameSize: 16_384, InitialWindow: 30_000, MaxHeaderListSize: 900},
		Streams: []StreamView{
			{Slot: 0, ID: 1, Window: 0, Queued: 10_000, Outgoings: 1, Sent: 30_000, Blocked: ByStreamWindow, Since: at(5)},
			{Slot: 2, ID: 3, Window: 30_000},
			{Slot: 3, ID: 5, Window: 10_849, Queued: 10_849, Outgoings: 2, Sent: 19_151, Blocked: ByConnectionWindow, Since: at(8)},
			{Slot: 4, ID: 7, Window: 13_616, Queued: 3_616, Outgoings: 1, Sent: 16_384, Blocked: ByConnectionWindow, Since: at(8)},
		},
	}
	if d := cmp.Diff(want, v); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Ended{{0, 1}}, r.q.Stalled(at(6), nil)); d != "" {
		t.Error("stalled:", d)
	}
	r.post(frame.Outgoing{StreamID: 3, Slot: 2, EndStream: true}, -1)
	r.q.Snapshot(&v)
	if !v.Streams[1].Ended || v.Streams[1].Blocked != NotBlocked {
		t.Errorf("%+v", v.Streams[1])
	}
	if got := r.q.Stalled(at(9), nil); len(got) != 3 {
		t.Errorf("stalled %v", got)
	}
}

func TestALateClockMakesNoStreamOld(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(1000+s, 0) }
	r := newRig(t, true)
	r.step(&PeerSettings{InitialWindow: 3})
	r.q.Clock(at(0))
	// An hour passes in which nobody tells the time.
	r.post(frame.Outgoing{StreamID: 1, Header: block("h")}, 10)
	r.fill(all)
	if got := r.q.Stalled(at(3600), nil); len(got) != 0 {
		t.Errorf("stalled before its first minute: %v", got)
	}
	r.q.Clock(at(3600))
	r.q.Clock(at(3650))
	if got := r.q.Stalled(at(3600), nil); len(got) != 0 {
		t.Errorf("stalled too early: %v", got)
	}
	if got := r.q.Stalled(at(3601), nil); len(got) != 1 {
		t.Errorf("not stalled: %v", got)
	}
	r.step(grant(1, 0, 1)) // one octet is progress
	r.fill(all)
	r.q.Clock(at(3700))
	if got := r.q.Stalled(at(3699), nil); len(got) != 0 {
		t.Errorf("stalled after progress: %v", got)
	}
}
