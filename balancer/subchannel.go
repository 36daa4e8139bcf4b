package balancer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/conn/connfsm"
)

// mostCalm keeps a keepalive time that is doubled again and again a number.
const mostCalm = 16

// subchannel is the actor that keeps connections to a list of addresses.
//
// Role: connectivity state and backoff; it decides what its connection's death
// means.
//
// Messages in: Connect, ResetBackoff, Addresses, Watch, Report, News, Release,
// Remove and Stop from the balancer, dialled from its dials, health from its
// health check, Ready, Crowded, GoAway and Down from its connections.
//
// Messages out: Changed, Healthy, Loaded and Awake to the balancer.
//
// States: IDLE, CONNECTING, READY, TRANSIENT_FAILURE, SHUTDOWN as gRPC has
// them. TRANSIENT_FAILURE becomes IDLE by itself; only Connect leads on from
// there. A connection that is drained leaves READY at once and finishes its
// streams on its own. With a health check (gRFC A17) a connection that is up is
// READY only while the service is.
//
// Supervision: parent of its connections. One that panics is stopped, never
// restarted: the next has a new name and a new epoch (law 5).
type subchannel struct {
	cfg      *Config
	id       uint64
	edge     *edge
	balancer actors.Ref[any]
	self     actors.Ref[any]

	state   connectivity.State
	list    []grpcresolver.Address
	next    int  // list[next] is tried next in this attempt
	attempt int  // tells this attempt's dials from older ones
	late    bool // the dial's time is up, and it has not returned
	epoch   int
	current conn.Ref            // spawned in this attempt, not READY yet
	up      []Conn              // usable, the one of the attempt first
	conns   map[string]conn.Ref // all that live, drained ones too, by actor id
	at      grpcresolver.Address
	stop    context.CancelFunc // ends the attempt
	began   time.Time
	timer   *actors.Timer
	tries   int       // attempts failed in a row
	since   time.Time // the first of them; zero: there is none
	calmed  uint      // how often a server found our keepalive too eager

	held      hold
	again     bool      // connects by itself when the timer is over
	wanted    bool      // Connect came while held
	notBefore time.Time // a supervisor wants no attempt before
	rest      time.Time // when the backoff of a failure is over that a supervisor has stopped

	scale scale
	watch watch
}

// hold is what keeps a subchannel from trying.
type hold uint8

const (
	free      hold = iota
	stopped        // until an RPC or the application asks
	escalated      // until the resolver has something new or the backoff is reset
)

func spawnSubchannel(ctx actor.SpawnerContext, name string, s *subchannel) (actors.Ref[any], error) {
	s.conns, s.state = map[string]conn.Ref{}, connectivity.Idle
	s.edge.usage.live.Store(nil)
	sp := &actors.Spec{Kind: "subchannel", Mode: actors.Goroutine, Table: s.cfg.Table, Undelivered: hangUp}
	return actors.Spawn[any](ctx, name, sp, s)
}

// hangUp closes a socket that was dialled for a subchannel that is no more.
func hangUp(msg any) {
	if m, ok := msg.(*dialled); ok && m.nc != nil {
		_ = m.nc.Close()
	}
}

// Receive implements actor.Actor.
func (s *subchannel) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Connect:
		s.wish()
	case *dialled:
		s.dialled(ctx, m)
	case *conn.Ready:
		s.ready(m)
	case *conn.Crowded:
		s.crowded()
	case *conn.GoAway:
		s.drained(m)
	case *conn.Down:
		s.down(m)
	case *health:
		s.healthReport(m)
	case *expired:
		s.expired(m)
	case *rescale:
		s.rescale(m)
	case *Addresses:
		s.addresses(m)
	case *Watch:
		s.watchAnother(m)
	case *Report:
		s.loadsEvery(m.Interval)
	case *ResetBackoff:
		s.resetBackoff()
	case *Release:
		s.release(m.Now)
	case *News:
		s.news()
	case *Remove:
		s.remove(ctx)
	case *Stop:
		s.shutdown(ctx, m)
	case *actor.Started:
		s.start(ctx)
	case *actor.Stopping:
		s.stopping()
	case *actor.Terminated:
		s.gone(ctx, m.Who.Id)
	case *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

func (s *subchannel) start(ctx actor.Context) {
	s.self = actors.Self[any](ctx)
	s.timer = actors.NewTimer(func(gen uint64) { s.self.Tell(&expired{gen: gen}) })
	s.scale.timer = actors.NewTimer(func(gen uint64) { s.self.Tell(&rescale{gen: gen}) })
	s.self.Probe().SetState(connectivity.Idle.String())
	s.balancer.Tell(&Changed{Subchannel: s.id, State: connectivity.Idle, Situation: s.situation(connectivity.Idle, nil)})
}

func (s *subchannel) stopping() {
	s.timer.Close()
	s.scale.close()
	s.endAttempt()
	s.unwatch()
	s.edge.set(nil)
}

// become is the one place where the connectivity state changes.
func (s *subchannel) become(st connectivity.State, err error) {
	now := s.situation(st, err)
	s.self.Probe().BecomeWith(s.state.String(), st.String(), errText(err), now)
	s.state = st
	s.offer()
	s.balancer.Tell(&Changed{
		Subchannel: s.id, State: st, Err: err, Held: s.held == stopped, Until: s.notBefore, Situation: now,
	})
}

// offer shows RPCs the connections they may use: before the balancer hears of
// READY, or the first ones would find none.
func (s *subchannel) offer() {
	if s.state == connectivity.Ready {
		s.edge.set(slices.Clone(s.up))
	} else {
		s.edge.set(nil)
	}
}

// wish is a policy's Connect.
func (s *subchannel) wish() {
	switch {
	case s.state != connectivity.Idle:
	case s.held != free:
		s.wanted = true
	default:
		s.connect()
	}
}

// ready: the connection of the attempt is up. Whether the subchannel is READY may
// be for its health check to say.
func (s *subchannel) ready(m *conn.Ready) {
	if s.grown(m) {
		return
	}
	if m.Ref != s.current || s.state != connectivity.Connecting {
		return
	}
	s.current = conn.Ref{}
	s.endAttempt()
	s.tries, s.since = 0, time.Time{}
	s.up = []Conn{{Ref: m.Ref, ServerName: s.at.ServerName}}
	if s.checks() {
		s.startWatch()
		return
	}
	s.become(connectivity.Ready, nil)
	s.startWatch()
}

// drained: the connection takes no new streams but serves the old ones.
func (s *subchannel) drained(m *conn.GoAway) {
	if connfsm.TooManyPings(m.Frame) && s.calmed < mostCalm {
		s.calmed++ // gRFC A8: the next connection pings half as often
	}
	s.over(m.Ref, conn.PeerGoAway, goAwayError(m))
}

// down: the connection is over.
func (s *subchannel) down(m *conn.Down) {
	err := m.Err
	if err == nil {
		err = errors.New("connection closed")
	}
	s.over(m.Ref, conn.KindOf(err), err)
}

// over: no new stream begins on a connection. What that means depends on what it
// was: the one an attempt waits for, the only one that is up, or one of several.
func (s *subchannel) over(r conn.Ref, kind conn.FailureKind, err error) {
	if s.shrunk(r) {
		return
	}
	if r == s.current {
		s.current = conn.Ref{}
		if s.state == connectivity.Connecting {
			s.failed(kind, fmt.Errorf("connect %s: %w", s.at.Addr, err))
		}
		return
	}
	i := slices.IndexFunc(s.up, func(c Conn) bool { return c.Ref == r })
	if i < 0 {
		return
	}
	s.up = slices.Delete(slices.Clone(s.up), i, i+1)
	if len(s.up) > 0 {
		s.tell(r, kind, err, 0)
		s.offer()
		if i == 0 {
			s.startWatch()
		}
		return
	}
	s.scale.close()
	s.unwatch()
	s.lost(r, kind, err)
}

// lost: a connection that was READY is gone. The failure row starts anew.
func (s *subchannel) lost(r conn.Ref, kind conn.FailureKind, err error) {
	s.tries, s.since = 0, time.Now()
	d := s.tell(r, kind, err, 0)
	if d.Decision == conn.DecideDefault {
		s.become(connectivity.Idle, err)
		return
	}
	s.obey(d, 0, err, true)
}

func (s *subchannel) expired(m *expired) {
	if !s.timer.Current(m.gen) {
		return
	}
	switch s.state {
	case connectivity.TransientFailure:
		s.recovered()
	case connectivity.Connecting:
		s.timedOut()
	case connectivity.Idle:
		s.release(true)
	case connectivity.Ready, connectivity.Shutdown:
	}
}

// recovered leaves TRANSIENT_FAILURE: a policy may ask for the next attempt.
func (s *subchannel) recovered() {
	again := s.again
	s.again, s.held = false, free
	s.become(connectivity.Idle, nil)
	if again {
		s.connect()
	}
}

func (s *subchannel) resetBackoff() {
	s.tries = 0
	if s.state != connectivity.TransientFailure || len(s.up) > 0 || s.quarantined() {
		return
	}
	s.timer.Stop()
	s.recovered()
}

func (s *subchannel) quarantined() bool { return time.Now().Before(s.notBefore) }

// addresses takes another list. A connection whose address is still in it is
// kept; what is tried, or waits to be tried, begins with the new list.
func (s *subchannel) addresses(m *Addresses) {
	if sameAddresses(s.list, m.List) {
		return
	}
	s.list = m.List
	switch s.state {
	case connectivity.Ready:
		if offered(s.list, s.at) {
			return
		}
		s.drainAll("address no longer offered")
		s.become(connectivity.Idle, nil)
		s.connect()
	case connectivity.Connecting:
		s.abandon("address no longer offered")
		s.connect()
	case connectivity.TransientFailure:
		if len(s.up) == 0 && !s.quarantined() {
			s.tries, s.again = 0, true
			s.timer.Stop()
			s.recovered()
		}
	case connectivity.Idle, connectivity.Shutdown:
	}
}
