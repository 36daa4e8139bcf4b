package outbound

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

func TestWhatGoesOnTheWire(t *testing.T) {
	const sid, slot = 1, 0
	wide := strings.Repeat("v", 17_000)
	out := func(o frame.Outgoing) frame.Outgoing { o.StreamID, o.Slot = sid, slot; return o }
	on := func(id frame.StreamID, s frame.SlotIndex, o frame.Outgoing) frame.Outgoing {
		o.StreamID, o.Slot = id, s
		return o
	}
	tests := []struct {
		name   string
		server bool
		do     func(r *rig)
		want   []string
		done   []Ended
	}{
		{
			name: "a whole unary request", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), EndStream: true}), 10)
			},
			want: []string{"HEADERS 1 x=h", "DATA 1 [10] END"},
		},
		{
			name: "a whole unary response", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), Trailer: block("t"), Last: true}), 10)
			},
			want: []string{"HEADERS 1 x=h", "DATA 1 [10]", "HEADERS 1 x=t END"}, done: []Ended{{slot, sid}},
		},
		{
			name: "trailers only", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Trailer: block("t"), Last: true}), -1)
			},
			want: []string{"HEADERS 1 x=t END"}, done: []Ended{{slot, sid}},
		},
		{
			name: "END_STREAM on HEADERS when nothing follows", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), EndStream: true}), -1)
			},
			want: []string{"HEADERS 1 x=h END"},
		},
		{
			name: "an empty payload is none", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), EndStream: true}), 0)
			},
			want: []string{"HEADERS 1 x=h END"},
		},
		{
			name: "half-closing takes an empty DATA, and no window", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h")}), 65535)
				r.post(out(frame.Outgoing{EndStream: true}), -1)
			},
			want: []string{"HEADERS 1 x=h", "DATA 1 [16384]", "DATA 1 [16384]", "DATA 1 [16384]", "DATA 1 [16383]", "DATA 1 [0] END"},
		},
		{
			name: "half-closing twice is half-closing", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), EndStream: true}), -1)
				r.post(out(frame.Outgoing{EndStream: true}), -1)
			},
			want: []string{"HEADERS 1 x=h END"},
		},
		{
			name: "control frames overtake what waits", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h")}), 20000)
				r.step(&frame.Ping{Ack: true, Data: [8]byte([]byte("12345678"))})
				r.step(&frame.Settings{Ack: true})
				r.step(frame.NewWindowUpdate(0, frame.NoSlot, 9))
				r.step(frame.NewRSTStream(7, frame.RefusedStream))
				r.step(&frame.GoAway{LastStreamID: 5, Code: frame.EnhanceYourCalm})
			},
			want: []string{
				"HEADERS 1 x=h", "PING 12345678", "SETTINGS ACK", "WINDOW_UPDATE 9", "RST_STREAM 7 REFUSED_STREAM",
				"GOAWAY ENHANCE_YOUR_CALM", "DATA 1 [16384]", "DATA 1 [3616]",
			},
		},
		{
			name: "DATA goes round, one frame per stream and turn", do: func(r *rig) {
				r.post(on(1, 0, frame.Outgoing{Header: block("a"), EndStream: true}), 40000)
				r.post(on(3, 1, frame.Outgoing{Header: block("b"), EndStream: true}), 5)
				r.post(on(5, 2, frame.Outgoing{Header: block("c"), EndStream: true}), 17000)
			},
			want: []string{
				"HEADERS 1 x=a", "HEADERS 3 x=b", "HEADERS 5 x=c", "DATA 1 [16384]", "DATA 3 [5] END", "DATA 5 [16384]",
				"DATA 1 [16384]", "DATA 5 [616] END", "DATA 1 [7232] END",
			},
		},
		{
			name: "trailers stay behind the stream's data", server: true, do: func(r *rig) {
				r.step(&PeerSettings{InitialWindow: 6})
				r.post(out(frame.Outgoing{Header: block("h")}), 10)
				r.post(out(frame.Outgoing{Trailer: block("t"), Last: true}), -1)
				r.post(on(3, 1, frame.Outgoing{Trailer: block("u"), Last: true}), -1)
				r.step(&frame.Settings{Ack: true})
			},
			want: []string{"HEADERS 1 x=h", "HEADERS 3 x=u END", "SETTINGS ACK", "DATA 1 [6]"}, done: []Ended{{1, 3}},
		},
		{
			name: "a reset drops what waits and goes at once", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h")}), 100000)
				r.post(out(frame.Outgoing{EndStream: true}), -1)
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel, Last: true}), -1)
				r.post(out(frame.Outgoing{}), 10)
			},
			want: []string{"HEADERS 1 x=h", "RST_STREAM 1 CANCEL"}, done: []Ended{{slot, sid}},
		},
		{
			name: "a reset after END_STREAM", do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), EndStream: true}), -1)
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel}), -1)
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel}), -1)
				r.post(out(frame.Outgoing{Last: true}), -1)
				r.post(out(frame.Outgoing{Last: true}), -1)
			},
			want: []string{"HEADERS 1 x=h END", "RST_STREAM 1 CANCEL"}, done: []Ended{{slot, sid}},
		},
		{
			name: "a reset of a stream the peer has not heard of", do: func(r *rig) {
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel, Last: true}), -1)
			},
			done: []Ended{{slot, sid}},
		},
		{
			name: "a reset by a server that has written nothing", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel, Last: true}), -1)
			},
			want: []string{"RST_STREAM 1 CANCEL"}, done: []Ended{{slot, sid}},
		},
		{
			name: "a reset behind everything", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h")}), 20000)
				r.post(out(frame.Outgoing{Trailer: block("t"), Reset: true, After: true, Last: true}), -1)
			},
			want: []string{"HEADERS 1 x=h", "DATA 1 [16384]", "DATA 1 [3616]", "HEADERS 1 x=t END", "RST_STREAM 1 NO_ERROR"},
			done: []Ended{{slot, sid}},
		},
		{
			name: "a reset overtakes a Last that waits, which counts once", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), Trailer: block("t"), Last: true}), 100000)
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel, Last: true}), -1)
			},
			want: []string{"HEADERS 1 x=h", "RST_STREAM 1 CANCEL"}, done: []Ended{{slot, sid}},
		},
		{
			name: "a stream the peer has reset is dropped without an answer", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), Trailer: block("t"), Last: true}), 100000)
				r.step(&frame.Drop{StreamID: sid, Slot: slot})
				r.step(&frame.Drop{StreamID: sid, Slot: slot})
				r.step(grant(sid, slot, 1))
				r.post(out(frame.Outgoing{Reset: true, Code: frame.Cancel, Last: true}), -1)
			},
			want: []string{"HEADERS 1 x=h"}, done: []Ended{{slot, sid}},
		},
		{
			name: "a drop before the stream's Last", server: true, do: func(r *rig) {
				r.step(&frame.Drop{StreamID: sid, Slot: slot})
				r.step(&frame.Drop{StreamID: sid, Slot: frame.NoSlot})
				r.post(out(frame.Outgoing{Header: block("h")}), 10)
				r.post(out(frame.Outgoing{Trailer: block("t"), Last: true}), -1)
			},
			done: []Ended{{slot, sid}},
		},
		{
			name: "a slot's next stream starts with the initial window", server: true, do: func(r *rig) {
				r.step(grant(0, frame.NoSlot, 1<<20))
				r.post(out(frame.Outgoing{Header: block("h"), Last: true}), 65535)
				r.fill(all)
				r.post(on(9, 0, frame.Outgoing{Header: block("i")}), 16384)
			},
			want: []string{"HEADERS 9 x=i", "DATA 9 [16384]"}, done: []Ended{{slot, sid}},
		},
		{
			name: "what an earlier stream sends late is dropped", server: true, do: func(r *rig) {
				r.post(on(9, 0, frame.Outgoing{Header: block("i"), Last: true}), -1)
				r.post(out(frame.Outgoing{Header: block("h"), Last: true}), 10)
				r.step(grant(sid, slot, flow.MaxWindow))
				r.step(grant(sid, frame.NoSlot, 1))
				r.step(&frame.Drop{StreamID: sid, Slot: slot})
			},
			want: []string{"HEADERS 9 x=i"}, done: []Ended{{0, 9}},
		},
		{
			name: "a slot given away too early loses what it had", server: true, do: func(r *rig) {
				r.post(out(frame.Outgoing{Header: block("h"), Last: true}), 100000)
				r.post(on(9, 0, frame.Outgoing{Header: block("i"), Last: true}), -1)
			},
			want: []string{"HEADERS 1 x=h", "HEADERS 9 x=i"}, done: []Ended{{slot, sid}, {0, 9}},
		},
		{
			name: "a grant before the first answer counts", server: true, do: func(r *rig) {
				r.step(&PeerSettings{InitialWindow: 1})
				r.step(grant(sid, slot, 9))
				r.post(out(frame.Outgoing{Trailer: block("t")}), 10)
			},
			want: []string{"DATA 1 [10]", "HEADERS 1 x=t END"},
		},
		{
			name: "HEADERS obey the peer's MAX_FRAME_SIZE, DATA 16 KiB", do: func(r *rig) {
				r.step(&PeerSettings{MaxFrameSize: 1 << 20, InitialWindow: 65535, HeaderTableSize: 4096})
				r.p.fr.SetMaxReadFrameSize(1 << 20)
				r.post(out(frame.Outgoing{Header: block(wide)}), 17000)
			},
			want: []string{"HEADERS 1 x=" + wide, "DATA 1 [16384]", "DATA 1 [616]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, !tt.server)
			tt.do(r)
			if d := cmp.Diff(tt.want, r.fill(all)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.done, r.finished); d != "" {
				t.Error("finished:", d)
			}
			r.q.Break()
			r.fill(all)
			r.check(t)
		})
	}
}
