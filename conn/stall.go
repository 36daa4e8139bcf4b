package conn

import (
	"time"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/outbound"
)

// How often loopy looks after streams that wait for window. The more often the
// shorter they may, and each second while more waits than may.
const (
	stallLook   = 15 * time.Second
	stallLooks  = 4 // per time that a stream may wait
	relieveLook = time.Second
)

// relievePatience is for how long a peer may grant nothing while the memory for
// what waits to be written is used up.
const relievePatience = 10 * time.Second

// watchStalls looks after streams that wait for window while there are any.
func (l *loopy) watchStalls() {
	if l.q.Queued() == 0 {
		return
	}
	look := relieveLook
	if !l.over {
		if l.rules.streamStall < 0 {
			return
		}
		look = min(stallLook, l.rules.streamStall/stallLooks)
	}
	if l.watching == 0 || look < l.watching {
		l.watching = look
		if l.timer == nil {
			l.timer = actors.NewTimer(l.fire)
		}
		l.timer.Reset(look)
	}
}

// fire runs on the timer's goroutine.
func (l *loopy) fire(gen uint64) { l.self.Tell(&stallCheck{gen: gen}) }

// stalled resets the streams whose peer has granted nothing for too long: what
// they hold is memory of ours that the peer commands.
func (l *loopy) stalled(m *stallCheck) {
	if !l.timer.Current(m.gen) {
		return
	}
	l.watching = 0
	if limit := l.rules.streamStall; limit > 0 {
		now := time.Now()
		l.q.Clock(now)
		l.giveUp(l.q.Stalled(now.Add(-limit), nil), "no flow-control window granted for "+limit.String())
	}
	l.relieve()
	l.watchStalls()
}

// relieve resets streams while more waits to be written than may, if it waits
// because the peer grants nothing.
func (l *loopy) relieve() {
	b := l.budget
	if b == nil {
		return
	}
	octets, shared := b.Over()
	l.over = octets > 0
	if !l.over || l.q.Queued() == 0 {
		return
	}
	octets -= max(b.Used()-int64(l.q.Queued()), 0) // still in the mailbox: their turn will come
	now := time.Now()
	l.q.Clock(now)
	l.giveUp(l.q.Evict(outbound.Excess{Octets: octets, Shared: shared, Before: now.Add(-relievePatience)}, nil),
		"too much waits for a peer that grants no flow-control window")
}

// giveUp has streams reset.
func (l *loopy) giveUp(streams []outbound.Ended, reason string) {
	for _, e := range streams {
		l.conn.Tell(&streamFailed{slot: e.Slot, err: &frame.StreamError{
			StreamID: e.ID, Code: frame.EnhanceYourCalm, Blame: frame.Remote, Reason: reason,
		}})
	}
}
