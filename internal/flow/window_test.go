package flow

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	const grant, shift, take = "grant", "shift", "take"
	type op struct {
		what string
		n    int64
		err  error
	}
	tests := []struct {
		name      string
		initial   uint32
		ops       []op
		value     int32
		available int
	}{
		{"starts with the initial window", 65535, nil, 65535, 65535},
		{"shrinks as octets go out", 100, []op{{take, 40, nil}}, 60, 60},
		{"empties exactly", 100, []op{{take, 100, nil}}, 0, 0},
		{"grows by WINDOW_UPDATE", 0, []op{{grant, 7, nil}}, 7, 7},
		{"reaches the largest window", 1, []op{{grant, MaxWindow - 1, nil}}, MaxWindow, MaxWindow},
		{"refuses a grant above it and stays", 1, []op{{grant, MaxWindow, ErrOverflow}}, 1, 1},
		{"refuses the largest grant twice", 0, []op{{grant, MaxWindow, nil}, {grant, MaxWindow, ErrOverflow}}, MaxWindow, MaxWindow},
		{"refuses a grant with the reserved bit", 0, []op{{grant, 1<<32 - 1, ErrOverflow}}, 0, 0},
		{"goes negative when the setting is lowered", 100, []op{{take, 100, nil}, {shift, -60, nil}}, -60, 0},
		{"comes back from below", 100, []op{{take, 100, nil}, {shift, -60, nil}, {grant, 61, nil}}, 1, 1},
		{"reaches the smallest window", MaxWindow, []op{{take, MaxWindow, nil}, {shift, -MaxWindow, nil}}, -MaxWindow, 0},
		{"refuses a setting that overflows it", 10, []op{{grant, MaxWindow - 10, nil}, {shift, 1, ErrOverflow}}, MaxWindow, MaxWindow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := NewWindow(tt.initial)
			for _, o := range tt.ops {
				var err error
				switch o.what {
				case grant:
					err = w.Grant(uint32(o.n))
				case shift:
					err = w.Shift(o.n)
				case take:
					w.Take(int(o.n))
				}
				if !errors.Is(err, o.err) {
					t.Fatalf("%s %d: %v, want %v", o.what, o.n, err, o.err)
				}
			}
			if w.Value() != tt.value || w.Available() != tt.available {
				t.Errorf("window %d, available %d; want %d, %d", w.Value(), w.Available(), tt.value, tt.available)
			}
		})
	}
}

func TestWindowIsNeverOverrunByUs(t *testing.T) {
	mustPanic(t, func() { w := NewWindow(5); w.Take(6) })
	mustPanic(t, func() { w := NewWindow(5); w.Take(-1) })
	mustPanic(t, func() { w := NewWindow(5); _ = w.Shift(-10); w.Take(1) })
	mustPanic(t, func() { NewWindow(MaxWindow + 1) })
}

// A peer that stays within RFC 9113 drives the window as the naive sum says; a
// grant beyond is refused without a trace.
func TestWindowFollowsItsSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		setting := rapid.Uint32Range(0, MaxWindow).Draw(t, "initial")
		w, sum := NewWindow(setting), int64(setting)
		t.Repeat(map[string]func(*rapid.T){
			"grant": func(t *rapid.T) {
				n := rapid.Uint32Range(1, MaxWindow).Draw(t, "n")
				if err := w.Grant(n); (err != nil) != (sum+int64(n) > MaxWindow) {
					t.Fatalf("grant of %d on %d: %v", n, sum, err)
				} else if err == nil {
					sum += int64(n)
				}
			},
			"setting": func(t *rapid.T) {
				n := rapid.Uint32Range(0, MaxWindow).Draw(t, "n")
				delta := int64(n) - int64(setting)
				if err := w.Shift(delta); (err != nil) != (sum+delta > MaxWindow) {
					t.Fatalf("shift by %d on %d: %v", delta, sum, err)
				} else if err == nil {
					sum, setting = sum+delta, n
				}
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(0, w.Available()).Draw(t, "n")
				w.Take(n)
				sum -= int64(n)
			},
			"": func(t *rapid.T) {
				if int64(w.Value()) != sum || w.Available() != int(max(sum, 0)) {
					t.Fatalf("window %d, available %d, sum %d", w.Value(), w.Available(), sum)
				}
			},
		})
	})
}
