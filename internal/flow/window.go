package flow

import "fmt"

// Window is what the peer lets us send, of one stream or of the connection. It
// may be negative after the peer has lowered SETTINGS_INITIAL_WINDOW_SIZE (RFC
// 9113 6.9.2), never below -(2^31-1) and never above MaxWindow.
//
// The zero Window lets nothing through.
type Window struct{ n int32 }

// NewWindow makes a window of n octets. An n above MaxWindow panics: the
// connection machine has checked the peer's settings.
func NewWindow(n uint32) Window {
	if n > MaxWindow {
		panic(fmt.Sprintf("flow: initial window of %d", n))
	}
	return Window{n: int32(n)}
}

// Value is the window as it stands, perhaps negative.
func (w Window) Value() int32 { return w.n }

// Available says how many octets may be sent now: never negative.
func (w Window) Available() int { return max(0, int(w.n)) }

// Take charges n octets that go out. More than Available panics.
func (w *Window) Take(n int) {
	if n < 0 || n > w.Available() {
		panic(fmt.Sprintf("flow: %d octets taken from a send window of %d", n, w.n))
	}
	w.n -= int32(n)
}

// Grant applies a WINDOW_UPDATE. The window stays as it is on ErrOverflow.
func (w *Window) Grant(n uint32) error { return w.Shift(int64(n)) }

// Shift applies a change of SETTINGS_INITIAL_WINDOW_SIZE: the new value less
// the old one. The window stays as it is on ErrOverflow.
func (w *Window) Shift(delta int64) error {
	n := int64(w.n) + delta
	if n > MaxWindow {
		return ErrOverflow
	}
	if n < -MaxWindow {
		// The window is never below what the peer's settings took away, and
		// that is at most the largest setting.
		panic(fmt.Sprintf("flow: send window of %d shifted by %d", w.n, delta))
	}
	w.n = int32(n)
	return nil
}
