package balancer

import (
	"time"

	"github.com/callboard-rpc/callboard/actors"
)

// idleness finds out that nobody uses the channel.
//
// No RPC does anything for it. Each connection's actor publishes how many
// streams it has begun and how many it has (conn.Load), two stores per RPC into
// a line that callers do not share; the balancer adds them up four times per
// timeout. Were RPCs to count themselves in and out, all callers of a channel
// would write to one cache line; were they to leave a time stamp, each would
// read a clock as well. The price is that the channel goes idle up to a quarter
// of the timeout late.
//
// An RPC that was begun since the last look is served to its end: the connections
// are drained. One that picks a connection in the very moment in which it is
// drained is refused unprocessed, tries again and wakes the channel.
type idleness struct {
	timer *actors.Timer
	every time.Duration // 0: never
	quiet int           // looks in a row that saw nothing
	begun uint64        // as of the last look

	retired uint64 // streams begun by subchannels that are no more
}

const looksPerTimeout = 4

func (i *idleness) start(self actors.Ref[any], timeout time.Duration) {
	i.timer = actors.NewTimer(func(gen uint64) { self.Tell(&look{gen: gen}) })
	i.every = timeout / looksPerTimeout
	if i.every > 0 {
		i.timer.Reset(i.every)
	}
}

func (b *balancer) look(m *look) {
	i := &b.idle
	if b.stopping || !i.timer.Current(m.gen) {
		return
	}
	begun, inFlight := i.retired, 0
	for _, c := range b.subs {
		if e, ok := c.handle.Edge.(*edge); ok {
			n, live := e.usage.count()
			begun, inFlight = begun+n, inFlight+live
		}
	}
	i.quiet++
	switch {
	case inFlight > 0:
		i.quiet = -1 // it may end just before the next look
	case begun != i.begun:
		i.quiet = 0
	}
	i.begun = begun
	if i.quiet >= looksPerTimeout {
		i.quiet = 0
		b.cfg.Parent.Tell(&Unused{From: b.self})
	}
	i.timer.Reset(i.every)
}
