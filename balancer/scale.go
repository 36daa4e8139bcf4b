package balancer

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn"
)

// crowdedEvery is how often RPCs that wait are looked for another place while
// all connections are full.
const crowdedEvery = 50 * time.Millisecond

// scale is a READY subchannel's further connections (gRFC A105). One is opened
// when RPCs wait because a peer's MAX_CONCURRENT_STREAMS is reached, one at a
// time, and only as many as Config.MaxConns allows. What it costs to find out is
// the connections' business: they say so once, when the first RPC has to wait.
type scale struct {
	timer   *actors.Timer
	attempt int
	stop    context.CancelFunc // ends the dial that is under way
	opening conn.Ref           // spawned, not READY yet
	tries   int                // failed in a row
	surplus bool               // as of the last look
}

// surplusAfter is how long connections are looked at before one is closed that
// the others could do without; it is closed when they were less than half full
// at both ends of that time.
const surplusAfter = 30 * time.Second

func (g *scale) close() {
	g.timer.Stop()
	g.attempt++
	if g.stop != nil {
		g.stop()
		g.stop = nil
	}
	if g.opening.Valid() {
		g.opening.Drain("not needed any more")
		g.opening = conn.Ref{}
	}
	g.tries = 0
}

// crowded: RPCs wait on one of the connections. They had better not if another
// has room, or gets some: what one has to wait for may take for ever.
func (s *subchannel) crowded() {
	g := &s.scale
	if s.state == connectivity.Ready && g.stop == nil && !g.opening.Valid() && g.tries == 0 {
		s.makeRoom()
	}
}

func (s *subchannel) makeRoom() {
	switch {
	case s.spill():
	case len(s.up) < s.cfg.MaxConns:
		s.grow()
	default:
		s.scale.timer.Reset(crowdedEvery)
	}
}

// spill sends RPCs that wait to where there is room. It says whether there is.
func (s *subchannel) spill() bool {
	for _, c := range s.up {
		if !c.Up() || !hasRoom(c) {
			continue
		}
		for _, full := range s.up {
			if l := full.Load(); uint64(l.Streams) > uint64(l.Limit) {
				full.Spill()
			}
		}
		s.scale.timer.Reset(surplusAfter)
		return true
	}
	return false
}

func (s *subchannel) grow() {
	g := &s.scale
	g.attempt++
	g.stop = s.dialTo(&dialled{attempt: g.attempt, extra: true, addr: s.at}, s.cfg.MinConnectTimeout)
	g.timer.Reset(s.cfg.MinConnectTimeout)
}

func (s *subchannel) dialledExtra(ctx actor.Context, m *dialled) {
	g := &s.scale
	if m.attempt != g.attempt {
		hangUp(m)
		return
	}
	g.stop()
	g.stop = nil
	if s.state != connectivity.Ready { // its service is not healthy any more
		hangUp(m)
		return
	}
	if m.err != nil {
		s.notGrown(m.kind, fmt.Errorf("dial %s: %w", m.addr.Addr, m.err))
		return
	}
	ref, err := s.spawnConn(ctx, m)
	if err != nil {
		s.notGrown(conn.DialFailed, err)
		return
	}
	g.opening = ref
}

// notGrown: the backend may be glad to have no more connections; the next attempt
// waits as long as after any other failure, and needs RPCs that still wait.
func (s *subchannel) notGrown(kind conn.FailureKind, err error) {
	g := &s.scale
	g.tries++
	wait := actors.Backoff{
		Base: s.cfg.Backoff.BaseDelay, Max: s.cfg.Backoff.MaxDelay, Factor: s.cfg.Backoff.Multiplier, Jitter: s.cfg.Backoff.Jitter,
	}.Delay(g.tries)
	s.tell(conn.Ref{}, kind, err, wait)
	g.timer.Reset(wait)
}

// grown: a further connection is up. The RPCs that wait on the others choose
// again.
func (s *subchannel) grown(m *conn.Ready) bool {
	g := &s.scale
	if !g.opening.Valid() || m.Ref != g.opening {
		return false
	}
	g.opening, g.tries = conn.Ref{}, 0
	before := s.up
	s.up = append(before[:len(before):len(before)], Conn{Ref: m.Ref, ServerName: s.at.ServerName})
	s.offer()
	for _, c := range before {
		c.Spill()
	}
	s.balancer.Tell(&Awake{Subchannel: s.id})
	g.timer.Reset(surplusAfter)
	return true
}

// shrunk: a connection that was being opened is over.
func (s *subchannel) shrunk(r conn.Ref) bool {
	g := &s.scale
	if !g.opening.Valid() || r != g.opening {
		return false
	}
	g.opening = conn.Ref{}
	s.notGrown(conn.PeerGone, fmt.Errorf("connect %s: a further connection was lost before it was up", s.at.Addr))
	return true
}

// rescale: an attempt has taken too long, or the pause after a failed one is
// over, or it is time to look for surplus.
func (s *subchannel) rescale(m *rescale) {
	g := &s.scale
	if !g.timer.Current(m.gen) {
		return
	}
	if s.state != connectivity.Ready {
		g.close()
		return
	}
	switch {
	case g.stop != nil || g.opening.Valid():
		tries := g.tries
		g.close()
		g.tries = tries
		s.notGrown(conn.HandshakeTimeout, fmt.Errorf("connect %s: a further connection did not come up", s.at.Addr))
	case s.waiting():
		s.makeRoom()
	default:
		g.tries = 0
		s.dropSurplus()
		if len(s.up) > 1 {
			g.timer.Reset(surplusAfter)
		}
	}
}

// rescaleHealthy: the service is healthy again, and what has been put off
// meanwhile goes on.
func (s *subchannel) rescaleHealthy() {
	g := &s.scale
	switch {
	case g.stop != nil || g.opening.Valid():
	case s.waiting():
		s.crowded()
	case len(s.up) > 1:
		g.timer.Reset(surplusAfter)
	}
}

func (s *subchannel) waiting() bool {
	for _, c := range s.up {
		if l := c.Load(); uint64(l.Streams) > uint64(l.Limit) {
			return true
		}
	}
	return false
}

// dropSurplus drains the newest connection when the others could do its work
// and would still be half empty.
func (s *subchannel) dropSurplus() {
	last := len(s.up) - 1
	if last < 1 {
		return
	}
	streams, room := 0, uint64(0)
	for i, c := range s.up {
		l := c.Load()
		streams += l.Streams
		if i < last {
			room += uint64(l.Limit)
		}
	}
	surplus := uint64(streams)*2 <= room
	if surplus && s.scale.surplus {
		s.up[last].Drain("not needed any more")
		s.up = s.up[:last:last]
		s.offer()
		surplus = false
	}
	s.scale.surplus = surplus
}
