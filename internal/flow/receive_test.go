package flow

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestReceive(t *testing.T) {
	const charge, consume, grow, shrink, flush = "charge", "consume", "grow", "shrink", "flush"
	type op struct {
		what   string
		n      int
		update int
		err    error
	}
	tests := []struct {
		name      string
		size      uint32
		ops       []op
		available int
	}{
		{"grants the announced window", 65535, nil, 65535},
		{"takes what was granted to the last octet", 100, []op{{charge, 100, 0, nil}}, 0},
		{"refuses one octet more and does not count it", 100, []op{{charge, 101, 0, ErrOverrun}, {charge, 100, 0, nil}, {charge, 1, 0, ErrOverrun}}, 0},
		{"grants nothing on arrival", 100, []op{{charge, 80, 0, nil}}, 20},
		{"withholds an update below a quarter", 100, []op{{charge, 80, 0, nil}, {consume, 24, 0, nil}}, 20},
		{"updates from a quarter on", 100, []op{{charge, 80, 0, nil}, {consume, 24, 0, nil}, {consume, 1, 25, nil}}, 45},
		{"updates with everything due", 100, []op{{charge, 80, 0, nil}, {consume, 80, 80, nil}}, 100},
		{"flushes less than a quarter", 100, []op{{charge, 3, 0, nil}, {consume, 3, 0, nil}, {flush, 0, 3, nil}, {flush, 0, 0, nil}}, 100},
		{"grows at once, with what was due", 100, []op{{charge, 10, 0, nil}, {consume, 10, 0, nil}, {grow, 50, 60, nil}}, 150},
		{"grows to the largest window only", 100, []op{{grow, MaxWindow, MaxWindow - 100, nil}, {grow, 1, 0, nil}}, MaxWindow},
		{"pays a shrink back before it grants again", 100, []op{{shrink, 60, 0, nil}, {charge, 100, 0, nil}, {consume, 60, 0, nil}, {consume, 10, 10, nil}}, 10},
		{"grows out of a shrink without an update", 100, []op{{shrink, 60, 0, nil}, {grow, 60, 0, nil}}, 100},
		{"shrinks to nothing", 100, []op{{shrink, 500, 0, nil}, {charge, 100, 0, nil}, {consume, 100, 0, nil}}, 0},
		{"serves a window of 0 once it grows", 0, []op{{charge, 0, 0, nil}, {consume, 0, 0, nil}, {grow, 5, 5, nil}}, 5},
		{"gives a window of 1 back octet by octet", 1, []op{{charge, 1, 0, nil}, {consume, 1, 1, nil}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReceive(tt.size)
			for _, o := range tt.ops {
				var update int
				var err error
				switch o.what {
				case charge:
					err = r.Charge(o.n)
				case consume:
					update, _ = r.Consume(o.n)
				case grow:
					update = r.Grow(o.n)
				case shrink:
					r.Shrink(o.n)
				case flush:
					update = r.Flush()
				}
				if update != o.update || !errors.Is(err, o.err) {
					t.Fatalf("%s %d: update %d, %v; want %d, %v", o.what, o.n, update, err, o.update, o.err)
				}
			}
			if r.Available() != tt.available {
				t.Errorf("available %d, want %d", r.Available(), tt.available)
			}
		})
	}
}

func TestReceivePanicsOnOurMistakes(t *testing.T) {
	mustPanic(t, func() { NewReceive(MaxWindow + 1) })
	mustPanic(t, func() { r := NewReceive(10); _ = r.Charge(4); r.Consume(5) })
	mustPanic(t, func() { r := NewReceive(10); r.Consume(-1) })
	mustPanic(t, func() { r := NewReceive(10); _ = r.Charge(-1) })
	mustPanic(t, func() { r := NewReceive(10); r.Grow(-1) })
	mustPanic(t, func() { r := NewReceive(10); r.Shrink(-1) })
}

// The peer's picture (what it was told, less what it sent) is the window's
// Available at all times, the sum of safety.md holds, and a sender never starves:
// once everything is consumed it may send three quarters of the window.
func TestReceiveInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint32Range(0, 1<<20).Draw(t, "size")
		r := NewReceive(size)
		peer := int64(size)
		t.Repeat(map[string]func(*rapid.T){
			"charge": func(t *rapid.T) {
				n := rapid.IntRange(0, 1<<20).Draw(t, "n")
				if err := r.Charge(n); (err != nil) != (int64(n) > peer) {
					t.Fatalf("%d octets arrived with %d granted: %v", n, peer, err)
				} else if err == nil {
					peer -= int64(n)
				}
			},
			"consume": func(t *rapid.T) {
				u, ok := r.Consume(rapid.IntRange(0, r.Held()).Draw(t, "n"))
				if ok != (u > 0) {
					t.Fatalf("update %d, %v", u, ok)
				}
				peer += int64(u)
			},
			"grow":   func(t *rapid.T) { peer += int64(r.Grow(rapid.IntRange(0, MaxWindow).Draw(t, "n"))) },
			"shrink": func(t *rapid.T) { r.Shrink(rapid.IntRange(0, 1<<20).Draw(t, "n")) },
			"flush":  func(*rapid.T) { peer += int64(r.Flush()) },
			"": func(t *rapid.T) {
				if r.Granted() != r.Consumed()+int64(r.Held())+int64(r.Available()) {
					t.Fatalf("granted %d != consumed %d + held %d + available %d", r.Granted(), r.Consumed(), r.Held(), r.Available())
				}
				if int64(r.Available()) != peer || peer < 0 || peer > MaxWindow {
					t.Fatalf("available %d, the peer knows of %d", r.Available(), peer)
				}
				if r.Held() == 0 && peer < int64(r.Size())-int64(r.Size())/dueFraction {
					t.Fatalf("everything is consumed and the peer has %d of %d", peer, r.Size())
				}
			},
		})
	})
}
