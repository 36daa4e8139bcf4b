package conn

import (
	"sync/atomic"

	"github.com/callboard-rpc/callboard/conn/connfsm"
)

// load is how busy a connection is, for those who choose between several and
// for those who want to know whether it is used at all. Its actor writes it,
// twice per RPC, and is the only one to do so: callers share nothing here.
// Servers have none.
type load struct {
	_     [64]byte      // what every pick reads stands on the cache line before
	now   atomic.Uint64 // streams begun << 32 | streams live or waited for
	limit atomic.Uint32 // the peer's MAX_CONCURRENT_STREAMS
	_     [48]byte
	aside atomic.Uint64 // of now: what is not the application's
}

// Load is how busy a connection is.
type Load struct {
	Begun   uint32 // streams so far, modulo 1<<32
	Streams int    // live ones, and calls that wait for one
	Limit   uint32 // the peer's MAX_CONCURRENT_STREAMS

	AsideBegun uint32 // of Begun: those that Aside has announced
	Aside      int    // of Streams: likewise
}

// Load says how busy the connection is, as far as is known here.
func (r Ref) Load() Load {
	l := r.e.load
	if l == nil {
		return Load{}
	}
	now, aside := l.now.Load(), l.aside.Load()
	return Load{
		Begun: uint32(now >> 32), Streams: int(uint32(now)), Limit: l.limit.Load(),
		AsideBegun: uint32(aside >> 32), Aside: int(uint32(aside)),
	}
}

// Aside announces a stream that is none of the application's RPCs, such as a
// health check. ended is called when it is over, or has not come about.
func (r Ref) Aside() (ended func()) {
	l := r.e.load
	l.aside.Add(1<<32 | 1)
	return func() { l.aside.Add(^uint64(0)) }
}

// account publishes the load after a step, and tells the parent when calls
// begin to wait.
func (c *conn) account(fx *connfsm.Effects) {
	if c.rules.role != connfsm.Client {
		return
	}
	l := c.edge.load
	if fx.Peer != nil {
		l.limit.Store(c.m.PeerStreams())
	}
	parked := c.m.Parked()
	if now := uint64(uint32(c.m.Begun()))<<32 | uint64(uint32(c.m.Streams()+parked)); now != l.now.Load() {
		l.now.Store(now)
	}
	if crowded := parked > 0; crowded != c.crowded {
		c.crowded = crowded
		if crowded && c.rules.crowding {
			c.parent.Tell(&Crowded{Ref: c.ref()})
		}
	}
}
