package outbound

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

func TestLargeHeaderBlocksAreRejected(t *testing.T) {
	big, small := block(strings.Repeat("v", 100)), block("v")
	tests := []struct {
		name   string
		server bool
		do     func(r *rig)
		want   []string
		done   []Ended
	}{
		{"a request never begins", false, func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: big, EndStream: true}, 10)
			r.post(frame.Outgoing{StreamID: 1}, 10)
			r.post(frame.Outgoing{StreamID: 1, Reset: true, Code: frame.Cancel, Last: true}, -1)
		}, nil, []Ended{{0, 1}}},
		{"a response ends its stream", true, func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: big, Trailer: small, Last: true}, 10)
		}, []string{"RST_STREAM 1 INTERNAL_ERROR"}, []Ended{{0, 1}}},
		{"trailers behind data", true, func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: small}, 20_000)
			r.post(frame.Outgoing{StreamID: 1, Trailer: big, Last: true}, -1)
		}, []string{"HEADERS 1 x=v", "DATA 1 [16384]", "DATA 1 [3616]", "RST_STREAM 1 INTERNAL_ERROR"}, []Ended{{0, 1}}},
		{"one that waits", false, func(r *rig) {
			wide := block(strings.Repeat("w", 300_000))
			r.step(&PeerSettings{InitialWindow: 65_535})
			r.post(frame.Outgoing{StreamID: 1, Slot: 0, Header: wide}, -1)
			r.post(frame.Outgoing{StreamID: 3, Slot: 1, Header: big}, 7)
			r.post(frame.Outgoing{StreamID: 3, Slot: 1, Last: true}, -1)
			r.fill(0)
			r.step(&PeerSettings{InitialWindow: 65_535, MaxHeaderListSize: 50})
		}, nil, []Ended{{1, 3}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, !tt.server)
			r.step(&PeerSettings{InitialWindow: 65_535, HeaderTableSize: 4096, MaxHeaderListSize: 34})
			tt.do(r)
			if d := cmp.Diff(tt.want, r.fill(all)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.done, r.finished); d != "" {
				t.Error("finished:", d)
			}
			if len(r.rejected) != 1 || r.rejected[0].Size != 133 || r.rejected[0].Reason == "" {
				t.Errorf("rejected %+v", r.rejected)
			}
			r.check(t)
		})
	}
}

func TestBreakDropsEverything(t *testing.T) {
	r := newRig(t, false)
	q := flow.NewQuota(10, nil)
	send := func(o frame.Outgoing, n int) {
		q.Enqueued(max(n, 0) + 1)
		o.Quota = q
		r.post(o, n)
	}
	send(frame.Outgoing{StreamID: 1, Slot: 0, Header: block("h")}, 100_000)
	send(frame.Outgoing{StreamID: 1, Slot: 0, Trailer: block("t"), Last: true}, -1)
	r.fill(20_000)
	r.step(&frame.Ping{})
	r.q.Break()
	r.q.Break()
	send(frame.Outgoing{StreamID: 3, Slot: 1, Header: block("h")}, 5_000)
	send(frame.Outgoing{StreamID: 3, Slot: 1, Reset: true, Last: true}, -1)
	r.step(&frame.Ping{})
	if !r.q.Ready() {
		t.Error("not Ready to report")
	}
	if got := r.fill(all); len(got) != 0 {
		t.Errorf("wrote %v to a lost connection", got)
	}
	if d := cmp.Diff([]Ended{{0, 1}, {1, 3}}, r.finished); d != "" {
		t.Error("finished:", d)
	}
	if !q.Drained() || r.q.Queued() != 0 || r.q.Ready() {
		t.Errorf("quota %d, %d queued, ready %v", q.Queued(), r.q.Queued(), r.q.Ready())
	}
	r.check(t)
}

func TestOurMistakesPanic(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *rig)
	}{
		{"an event nobody knows", func(r *rig) { r.step(1) }},
		{"no slot", func(r *rig) { r.post(frame.Outgoing{StreamID: 1, Slot: frame.NoSlot, Header: block("h")}, -1) }},
		{"no stream", func(r *rig) { r.post(frame.Outgoing{Header: block("h")}, -1) }},
		{"a client's DATA before HEADERS", func(r *rig) { r.post(frame.Outgoing{StreamID: 1}, 5) }},
		{"content after END_STREAM", func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: block("h"), EndStream: true}, -1)
			r.post(frame.Outgoing{StreamID: 1}, 5)
		}},
		{"a Writes that was not reset", func(r *rig) {
			r.step(&frame.Ping{})
			var w Writes
			r.q.Fill(&w, all)
			r.q.Fill(&w, all)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("went on")
				}
			}()
			tt.do(newRig(t, true))
		})
	}
}
