package outbound

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

func TestWindows(t *testing.T) {
	post := func(r *rig, n int) {
		r.post(frame.Outgoing{StreamID: 1, Header: block("h"), EndStream: true}, n)
	}
	tests := []struct {
		name  string
		do    func(r *rig)
		want  []string
		value int32 // of the stream's window afterwards
	}{
		{"the stream's window holds DATA back", func(r *rig) {
			r.step(&PeerSettings{InitialWindow: 7})
			post(r, 10)
		}, []string{"HEADERS 1 x=h", "DATA 1 [7]"}, 0},
		{"a grant lets it go on", func(r *rig) {
			r.step(&PeerSettings{InitialWindow: 7})
			post(r, 10)
			r.fill(all)
			r.step(grant(1, 0, 2))
		}, []string{"DATA 1 [2]"}, 0},
		{"the connection's window holds DATA back", func(r *rig) {
			r.step(&PeerSettings{InitialWindow: 100_000})
			post(r, 70_000)
			r.fill(all)
		}, nil, 100_000 - 65_535},
		{"and lets it go on", func(r *rig) {
			r.step(&PeerSettings{InitialWindow: 100_000})
			post(r, 70_000)
			r.fill(all)
			r.step(grant(0, frame.NoSlot, 4464))
			r.step(grant(0, frame.NoSlot, 1))
		}, []string{"DATA 1 [4465] END"}, 30_000},
		{"a lower initial window takes from a live stream", func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: block("h")}, 65_530)
			r.fill(all)
			r.step(&PeerSettings{InitialWindow: 65_535 - 10})
		}, nil, -5},
		{"and the next grant fills the hole first", func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: block("h")}, 65_530)
			r.fill(all)
			r.step(&PeerSettings{InitialWindow: 65_535 - 10})
			r.post(frame.Outgoing{StreamID: 1, EndStream: true}, 3)
			r.step(grant(0, frame.NoSlot, 100))
			r.step(grant(1, 0, 7))
		}, []string{"DATA 1 [2]"}, 0},
		{"a higher initial window lets it go on", func(r *rig) {
			r.step(&PeerSettings{InitialWindow: 1})
			post(r, 10)
			r.fill(all)
			r.step(&PeerSettings{InitialWindow: 5})
			r.step(&frame.Settings{Ack: true})
		}, []string{"SETTINGS ACK", "DATA 1 [4]"}, 0},
		{"a lower one reaches a stream that waits for its turn", func(r *rig) {
			r.post(frame.Outgoing{StreamID: 1, Header: block("h")}, 40_000)
			r.fill(1)
			r.step(&PeerSettings{InitialWindow: 16_384})
		}, []string{"DATA 1 [16384]"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, true)
			tt.do(r)
			if d := cmp.Diff(tt.want, r.fill(all)); d != "" {
				t.Error(d)
			}
			var v View
			r.q.Snapshot(&v)
			if v.Streams[0].Window != tt.value {
				t.Errorf("window %d, want %d", v.Streams[0].Window, tt.value)
			}
		})
	}
}

func TestThePeersFaults(t *testing.T) {
	tests := []struct {
		name   string
		do     func(r *rig) error
		stream bool
	}{
		{"connection window overflows", func(r *rig) error {
			return r.q.Step(grant(0, frame.NoSlot, flow.MaxWindow))
		}, false},
		{"stream window overflows", func(r *rig) error {
			return r.q.Step(grant(1, 0, flow.MaxWindow))
		}, true},
		{"SETTINGS overflow a live stream's window", func(r *rig) error {
			r.step(grant(1, 0, flow.MaxWindow-65_535))
			return r.q.Step(&PeerSettings{InitialWindow: 65_536})
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, true)
			r.post(frame.Outgoing{StreamID: 1, Header: block("h")}, -1)
			err := tt.do(r)
			var se *frame.StreamError
			var ce *frame.ConnError
			switch {
			case tt.stream && errors.As(err, &se):
				if se.Code != frame.FlowControlError || se.StreamID != 1 || se.Blame != frame.Remote {
					t.Errorf("%+v", se)
				}
			case !tt.stream && errors.As(err, &ce):
				if ce.Code != frame.FlowControlError || ce.Blame != frame.Remote {
					t.Errorf("%+v", ce)
				}
			default:
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAnEndedStreamHasNoWindowToOverflow(t *testing.T) {
	r := newRig(t, true)
	r.step(grant(1, 0, flow.MaxWindow-65_535)) // the record is there before HEADERS
	r.post(frame.Outgoing{StreamID: 1, Header: block("h"), EndStream: true}, -1)
	r.step(&PeerSettings{InitialWindow: 70_000})
}
