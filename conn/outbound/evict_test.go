package outbound

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// respond queues a response of n octets on stream id in slot s.
func (r *rig) respond(id frame.StreamID, s frame.SlotIndex, n int) {
	r.post(frame.Outgoing{StreamID: id, Slot: s, Header: block("h"), Trailer: block("t"), Last: true}, n)
}

func TestEvict(t *testing.T) {
	const size = 100_000
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	// Streams 1, 3, 5 in slots 0, 1, 2 have a response waiting.
	three := func(r *rig) {
		for i := range 3 {
			r.respond(frame.StreamID(2*i+1), frame.SlotIndex(i), size)
		}
	}
	tests := []struct {
		name   string
		window uint32 // INITIAL_WINDOW_SIZE
		conn   uint32 // granted to the connection
		do     func(r *rig)
		excess Excess
		want   []Ended
	}{
		{"the newest goes", 0, 1 << 20, three, Excess{Octets: 1}, []Ended{{2, 5}}},
		{"as many as it takes", 0, 1 << 20, three, Excess{Octets: size + 1}, []Ended{{2, 5}, {1, 3}}},
		{"the oldest stays", 0, 1 << 20, three, Excess{Octets: 5 * size}, []Ended{{2, 5}, {1, 3}}},
		{"or not, when everybody suffers", 0, 1 << 20, three, Excess{Octets: 5 * size, Shared: true}, []Ended{{2, 5}, {1, 3}, {0, 1}}},
		{"nobody for nothing", 0, 1 << 20, three, Excess{}, nil},
		{"a window of a few octets is none", 100, 1 << 20, three, Excess{Octets: 1}, []Ended{{2, 5}}},
		{"the usual window and no more is slow", frame.DefaultWindow, 1 << 20, three, Excess{Octets: 1, Before: at(5)}, nil},
		{"and to blame after a while when everybody suffers", frame.DefaultWindow, 1 << 20, three, Excess{Octets: 1, Shared: true, Before: at(11)}, []Ended{{2, 5}}},
		{"but not before", frame.DefaultWindow, 1 << 20, three, Excess{Octets: 1, Shared: true, Before: at(9)}, nil},
		{"who waits for its turn stays", 1 << 20, 1 << 20, three, Excess{Octets: 1, Shared: true, Before: at(11)}, nil},
		{"a connection without window, after a while", 1 << 20, 0, three, Excess{Octets: 1, Before: at(11)}, []Ended{{2, 5}}},
		{"but not before", 1 << 20, 0, three, Excess{Octets: 1, Before: at(9)}, nil},
		{"one that was granted the rest stays", 0, 1 << 20, func(r *rig) {
			three(r)
			r.step(grant(5, 2, size))
		}, Excess{Octets: 1}, []Ended{{1, 3}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, false)
			r.step(&PeerSettings{InitialWindow: tt.window, HeaderTableSize: 4096})
			if tt.conn > 0 {
				r.step(grant(0, frame.NoSlot, tt.conn))
			}
			tt.do(r)
			for tt.conn > 0 && tt.window > 0 && tt.window <= frame.DefaultWindow && r.q.Ready() {
				r.fill(all)
			}
			if tt.conn == 0 {
				r.fill(all)
			}
			r.q.Clock(at(10))
			if d := cmp.Diff(tt.want, r.q.Evict(tt.excess, nil)); d != "" {
				t.Error(d)
			}
			if got := r.q.Evict(tt.excess, nil); len(tt.want) > 0 && len(got) > 0 && got[0] == tt.want[0] {
				t.Errorf("%v was chosen again", got)
			}
			r.q.Break()
			r.fill(all)
			r.check(t)
		})
	}
}

func TestWhatWasChosenDoesNotCountAnyMore(t *testing.T) {
	r := newRig(t, false)
	r.step(&PeerSettings{InitialWindow: 0})
	for i := range 3 {
		r.respond(frame.StreamID(2*i+1), frame.SlotIndex(i), 1000)
	}
	for _, want := range [][]Ended{{{2, 5}}, nil} {
		if d := cmp.Diff(want, r.q.Evict(Excess{Octets: 900}, nil)); d != "" {
			t.Error(d)
		}
	}
	// Its reset is on the way. The slot's next stream begins with a clean record.
	r.post(frame.Outgoing{StreamID: 5, Slot: 2, Reset: true, Last: true}, -1)
	r.respond(7, 2, 1000)
	if d := cmp.Diff([]Ended{{2, 7}}, r.q.Evict(Excess{Octets: 900}, nil)); d != "" {
		t.Error(d)
	}
}
