package balancer

import (
	"sync/atomic"

	"github.com/callboard-rpc/callboard/conn"
)

// Conn is a connection that can be picked.
type Conn struct {
	conn.Ref
	// ServerName is the name that the resolver gave the address, and by which
	// the peer was authenticated; empty: the channel's authority.
	ServerName string
}

// edge is what a policy's Subchannel leads to: the connections it has at this
// moment. Its subchannel actor writes, every RPC reads, without a lock.
type edge struct {
	ready atomic.Pointer[[]Conn] // nil: none
	usage usage
}

// pick chooses a connection: the less loaded of two at random where there are
// several.
func (e *edge) pick(rand func() uint64) (Conn, bool) {
	list := e.ready.Load()
	if list == nil {
		return Conn{}, false
	}
	if cs := *list; len(cs) > 1 {
		return lighter(cs, rand())
	}
	c := (*list)[0]
	return c, c.Up()
}

func lighter(cs []Conn, r uint64) (Conn, bool) {
	n := uint64(len(cs))
	i := r % n
	j := (i + 1 + (r>>32)%(n-1)) % n
	a, b := cs[i], cs[j]
	if !a.Up() || b.Up() && b.Load().Streams < a.Load().Streams {
		a = b
	}
	if a.Up() && hasRoom(a) {
		return a, true
	}
	for _, c := range cs { // both are full: rather any other than wait
		if c.Up() && (!a.Up() || hasRoom(c)) {
			return c, true
		}
	}
	return a, a.Up()
}

func hasRoom(c Conn) bool {
	l := c.Load()
	return uint64(l.Streams) < uint64(l.Limit)
}

// set publishes what RPCs may use.
func (e *edge) set(cs []Conn) {
	if len(cs) == 0 {
		e.ready.Store(nil)
		return
	}
	e.ready.Store(&cs)
}

// usage says whether a subchannel's connections serve anything, the drained ones
// included.
type usage struct {
	live atomic.Pointer[[]conn.Ref]
	past atomic.Uint64 // streams begun by connections that are no more
}

// count gives the RPCs begun so far and those in flight. A reader that is
// overtaken by the end of a connection counts too much, never too little.
func (u *usage) count() (begun uint64, inFlight int) {
	if live := u.live.Load(); live != nil {
		for _, r := range *live {
			l := r.Load()
			begun += uint64(l.Begun - l.AsideBegun)
			inFlight += max(0, l.Streams-l.Aside) // it is announced before it begins
		}
	}
	return begun + u.past.Load(), inFlight
}
