package stream

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// setDeadline arms the RPC's deadline. The timer is lazy: most RPCs end long
// before theirs, and the next one's is usually later.
func (a *Actor) setDeadline(at time.Time) {
	if !at.IsZero() {
		a.timed = true
		if a.timer == nil {
			a.timer = actors.NewTimer(a.fire)
		}
		a.timer.Reset(time.Until(at))
	}
}

func (a *Actor) clearDeadline() {
	if a.timed {
		a.timed = false
		a.timer.Stop()
	}
}

// fire runs on the timer's goroutine.
func (a *Actor) fire(gen uint64) { a.self.Tell(&tick{gen: gen}) }

func (a *Actor) tick(m *tick) {
	if a.timer != nil && a.timer.Current(m.gen) {
		a.step(&streamfsm.Cancel{StreamID: a.id, Code: codes.DeadlineExceeded, Message: "deadline exceeded"})
	}
}
