package flow

import "fmt"

// Receive is what we let the peer send, of one stream or of the connection.
// Octets are charged when they arrive and given back when the application has
// read them, so that a slow reader slows its peer down instead of filling our
// memory.
//
// At any time
//
//	Granted = Consumed + Held + Available
//
// where Held has arrived and is not consumed yet, and Available may still
// arrive. Receive aims at Held + Available = Size and grants more once a
// quarter of Size is due, so that one WINDOW_UPDATE serves many messages and
// a sender that is not held back by its peer never waits for one.
type Receive struct {
	granted  int64
	received int64
	consumed int64
	size     int32
}

// dueFraction is the part of the window that must be due before a
// WINDOW_UPDATE is worth its frame.
const dueFraction = 4

// NewReceive makes a window of which the peer knows already: size is what
// SETTINGS_INITIAL_WINDOW_SIZE announced, or 65,535 for a connection.
func NewReceive(size uint32) Receive {
	if size > MaxWindow {
		panic(fmt.Sprintf("flow: receive window of %d", size))
	}
	return Receive{granted: int64(size), size: int32(size)}
}

// Granted counts the octets the peer was ever allowed to send.
func (r *Receive) Granted() int64 { return r.granted }

// Received counts the octets that ever arrived.
func (r *Receive) Received() int64 { return r.received }

// Consumed counts the octets that were ever read by the application.
func (r *Receive) Consumed() int64 { return r.consumed }

// Held is what has arrived and is not consumed.
func (r *Receive) Held() int { return int(r.received - r.consumed) }

// Available is what the peer may still send.
func (r *Receive) Available() int { return int(r.granted - r.received) }

// Size is how much the peer may have on its way or in our hands.
func (r *Receive) Size() int { return int(r.size) }

// Charge counts n arrived octets (padding included). ErrOverrun says that the
// peer was not allowed to send them; they are not counted then.
func (r *Receive) Charge(n int) error {
	if n < 0 {
		panic(fmt.Sprintf("flow: %d octets arrived", n))
	}
	if n > r.Available() {
		return ErrOverrun
	}
	r.received += int64(n)
	return nil
}

// Consume counts n octets as read. With ok, a WINDOW_UPDATE of update octets
// has to be sent: they count as granted from now on.
func (r *Receive) Consume(n int) (update int, ok bool) {
	if n < 0 || n > r.Held() {
		panic(fmt.Sprintf("flow: %d octets consumed of %d held", n, r.Held()))
	}
	r.consumed += int64(n)
	if due := r.due(); due > 0 && due >= int64(r.size)/dueFraction {
		return r.grant(due), true
	}
	return 0, false
}

// Grow makes the window larger by n octets, MaxWindow at most, and returns the
// WINDOW_UPDATE to send: 0 if nothing is due, because the window was shrunk
// before.
func (r *Receive) Grow(n int) (update int) {
	if n < 0 {
		panic(fmt.Sprintf("flow: receive window grown by %d", n))
	}
	r.size = int32(min(int64(r.size)+int64(n), MaxWindow))
	if due := r.due(); due > 0 {
		return r.grant(due)
	}
	return 0
}

// Shrink makes the window smaller by n octets, 0 at least. HTTP/2 cannot take
// a grant back, so the peer notices as Consume withholds its updates.
func (r *Receive) Shrink(n int) {
	if n < 0 {
		panic(fmt.Sprintf("flow: receive window shrunk by %d", n))
	}
	r.size = int32(max(int64(r.size)-int64(n), 0))
}

// Flush returns what is due, however little, for a caller that has a reason to
// send a WINDOW_UPDATE now.
func (r *Receive) Flush() (update int) {
	if due := r.due(); due > 0 {
		return r.grant(due)
	}
	return 0
}

// due is what may be granted until the peer has Size octets on its way or in
// our hands; negative after Shrink.
func (r *Receive) due() int64 { return int64(r.size) - (r.granted - r.consumed) }

func (r *Receive) grant(n int64) int {
	r.granted += n
	return int(n)
}
