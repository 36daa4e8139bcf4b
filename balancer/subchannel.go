package balancer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/conn/connfsm"
)

// mostCalm keeps a keepalive time that is doubled again and again a number.
const mostCalm = 16

// subchannel is the actor that keeps one connection to a list of addresses.
//
// Role: connectivity state and backoff; it decides what its connection's death
// means.
//
// Messages in: Addresses, Connect, ResetBackoff and Stop from the balancer,
// dialled from its dial, Ready, GoAway and Down from its connections.
//
// Messages out: Changed to the balancer.
//
// States: IDLE, CONNECTING, READY, TRANSIENT_FAILURE, SHUTDOWN as gRPC has
// them. A connection that is drained leaves READY at once and finishes its
// streams on its own.
//
// Supervision: parent of its connections. One that panics is stopped, never
// restarted: the next has a new name and a new epoch (law 5).
type subchannel struct {
	cfg      *Config
	id       int
	balancer actors.Ref[any]
	self     actors.Ref[any]

	state     connectivity.State
	list      []grpcresolver.Address
	next      int // list[next] is tried next in this attempt
	attempt   int // tells this attempt's dials from older ones
	epoch     int
	current   conn.Ref            // spawned and not lost
	conns     map[string]conn.Ref // all that live, drained ones too, by actor id
	at        grpcresolver.Address
	stop      context.CancelFunc // ends the attempt
	began     time.Time
	timer     *actors.Timer
	tries     int       // attempts failed in a row
	since     time.Time // the first of them
	lastErr   error
	goAway    *conn.GoAway
	escalated bool // no attempts until there is something new
	calmed    uint // how often a server found our keepalive too eager
}

func spawnSubchannel(ctx actor.SpawnerContext, name string, id int, cfg *Config, parent actors.Ref[any]) (actors.Ref[any], error) {
	s := &subchannel{cfg: cfg, id: id, balancer: parent, conns: map[string]conn.Ref{}}
	sp := &actors.Spec{Kind: "subchannel", Mode: actors.Goroutine, Table: cfg.Table, Undelivered: hangUp}
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
		if s.state == connectivity.Idle {
			s.connect()
		}
	case *dialled:
		s.dialled(ctx, m)
	case *conn.Ready:
		s.ready(m)
	case *conn.GoAway:
		s.drained(m)
	case *conn.Down:
		s.down(m)
	case *expired:
		s.expired(m)
	case *Addresses:
		s.addresses(m)
	case *ResetBackoff:
		s.resetBackoff()
	case *Stop:
		s.shutdown(ctx, m)
	case *actor.Started:
		s.self = actors.Self[any](ctx)
		s.timer = actors.NewTimer(func(gen uint64) { s.self.Tell(&expired{gen: gen}) })
		s.self.Probe().SetState(connectivity.Idle.String())
	case *actor.Stopping:
		s.timer.Close()
		s.endAttempt()
	case *actor.Terminated:
		delete(s.conns, m.Who.Id)
		s.stopIfOver(ctx)
	case *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

// become is the one place where the connectivity state changes.
func (s *subchannel) become(st connectivity.State, err error, lost bool) {
	s.self.Probe().Become(s.state.String(), st.String(), errText(err))
	s.state = st
	c := &Changed{Subchannel: s.id, State: st, Err: err, Lost: lost}
	if st == connectivity.Ready {
		c.Conn = Conn{Ref: s.current, ServerName: s.at.ServerName}
	}
	s.balancer.Tell(c)
}

// connect begins an attempt: every address in turn, within the time gRPC's
// connection backoff gives it.
func (s *subchannel) connect() {
	if len(s.list) == 0 {
		return
	}
	s.began, s.next, s.escalated = time.Now(), 0, false
	s.become(connectivity.Connecting, nil, false)
	s.dial()
}

// dial tries one address. Edge: dialling blocks, so it has a goroutine; it
// posts one message and ends.
func (s *subchannel) dial() {
	s.attempt++
	s.at = s.list[s.next]
	s.next++
	timeout := max(s.cfg.MinConnectTimeout, s.backoff())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	s.stop = cancel
	m := &dialled{attempt: s.attempt, addr: s.at}
	dial, self := s.cfg.Dial, s.self
	go func() {
		m.run(ctx, dial)
		self.Tell(m)
	}()
	s.timer.Reset(timeout)
}

// run dials. Diallers and credentials are the user's: what panics there has
// failed to connect.
func (m *dialled) run(ctx context.Context, dial dialFunc) {
	defer func() {
		if v := recover(); v != nil {
			m.nc, m.kind, m.err = nil, conn.DialFailed, &actors.Panic{Value: v, Stack: debug.Stack()}
		}
	}()
	m.nc, m.auth, m.kind, m.err = dial(ctx, m.addr)
}

func (s *subchannel) dialled(ctx actor.Context, m *dialled) {
	if m.attempt != s.attempt || s.state != connectivity.Connecting {
		if m.nc != nil {
			_ = m.nc.Close()
		}
		return
	}
	if m.err != nil {
		s.failed(m.kind, fmt.Errorf("dial %s: %w", m.addr.Addr, m.err))
		return
	}
	s.epoch++
	cfg := s.cfg.Conn(m.auth)
	cfg.Machine.Keepalive.Time <<= s.calmed
	cfg.NC, cfg.AuthInfo, cfg.Parent, cfg.Table = m.nc, m.auth, s.self, s.cfg.Table
	ref, err := conn.Spawn(ctx, "conn-"+strconv.Itoa(s.epoch), cfg)
	if err != nil {
		_ = m.nc.Close()
		s.failed(conn.DialFailed, err)
		return
	}
	s.current = ref
	s.conns[ref.PID().Id] = ref
}

func (s *subchannel) ready(m *conn.Ready) {
	if m.Ref != s.current || s.state != connectivity.Connecting {
		return
	}
	s.endAttempt()
	s.goAway = nil
	s.become(connectivity.Ready, nil, false)
}

// drained: the connection takes no new streams but serves the old ones.
func (s *subchannel) drained(m *conn.GoAway) {
	if m.Ref != s.current {
		return
	}
	s.goAway = m
	if connfsm.TooManyPings(m.Frame) && s.calmed < mostCalm {
		s.calmed++ // gRFC A8: the next connection pings half as often
	}
	s.current = conn.Ref{}
	if s.state == connectivity.Ready {
		s.lost(conn.PeerGoAway, goAwayError(m))
	}
}

// down: the connection is over.
func (s *subchannel) down(m *conn.Down) {
	if m.Ref != s.current {
		return
	}
	s.current = conn.Ref{}
	err := m.Err
	if err == nil {
		err = errors.New("connection closed")
	}
	switch s.state {
	case connectivity.Ready:
		s.lost(conn.KindOf(err), err)
	case connectivity.Connecting:
		s.failed(conn.KindOf(err), fmt.Errorf("connect %s: %w", s.at.Addr, err))
	case connectivity.Idle, connectivity.TransientFailure, connectivity.Shutdown:
	}
}

// lost: a connection that was READY is gone. The failure row starts anew.
func (s *subchannel) lost(kind conn.FailureKind, err error) {
	s.tries, s.since, s.lastErr = 0, time.Now(), err
	d := s.ask(kind, err, 0)
	switch d.Decision {
	case conn.DecideDefault:
		s.become(connectivity.Idle, err, true)
	default:
		s.obey(d, 0, err, true)
	}
}

// failed: one address could not be reached; the next is tried, and after the
// last the attempt has failed.
func (s *subchannel) failed(kind conn.FailureKind, err error) {
	s.lastErr = err
	if s.next < len(s.list) {
		s.endAttempt()
		s.dial()
		return
	}
	s.endAttempt()
	wait := max(0, s.backoff()-time.Since(s.began))
	if s.tries == 0 {
		s.since = time.Now()
	}
	s.tries++
	s.obey(s.ask(kind, err, wait), wait, err, false)
}

func (s *subchannel) addresses(m *Addresses) {
	news := !slices.EqualFunc(s.list, m.List, same)
	s.list = m.List
	if s.current.Valid() && s.state == connectivity.Ready && !offered(s.list, s.at) {
		s.current.Drain("address no longer offered")
		s.current = conn.Ref{}
		s.become(connectivity.Idle, nil, false)
		s.connect()
	}
	// In backoff the new list is used after it.
	if s.state == connectivity.TransientFailure && s.escalated && news {
		s.connect()
	}
}

func (s *subchannel) resetBackoff() {
	s.tries = 0
	if s.state == connectivity.TransientFailure {
		s.timer.Stop()
		s.connect()
	}
}

func (s *subchannel) expired(m *expired) {
	if !s.timer.Current(m.gen) {
		return
	}
	switch s.state {
	case connectivity.TransientFailure:
		s.connect()
	case connectivity.Connecting:
		s.timedOut()
	case connectivity.Idle, connectivity.Ready, connectivity.Shutdown:
	}
}

func (s *subchannel) timedOut() {
	if !s.current.Valid() {
		s.failed(conn.DialFailed, fmt.Errorf("dial %s: %w", s.at.Addr, context.DeadlineExceeded))
		return
	}
	err := fmt.Errorf("connect %s: no settings from the server within %v", s.at.Addr, time.Since(s.began).Round(time.Millisecond))
	s.current.Close("connect timeout", err)
	s.current = conn.Ref{}
	s.failed(conn.PeerSilent, err)
}

func (s *subchannel) shutdown(ctx actor.Context, m *Stop) {
	if s.state == connectivity.Shutdown {
		return
	}
	s.endAttempt()
	s.current = conn.Ref{}
	for _, c := range s.conns {
		c.CloseWith(codes.Canceled, m.Reason)
	}
	s.become(connectivity.Shutdown, nil, false)
	s.stopIfOver(ctx)
}

// stopIfOver stops the actor behind its last connection: stopping earlier would
// cut them short, and their RPCs would not hear why.
func (s *subchannel) stopIfOver(ctx actor.Context) {
	if s.state == connectivity.Shutdown && len(s.conns) == 0 {
		ctx.Stop(ctx.Self())
	}
}

// endAttempt stops the dial that is under way, and what it may still bring.
func (s *subchannel) endAttempt() {
	s.timer.Stop()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	if s.state != connectivity.Connecting || !s.current.Valid() {
		s.attempt++
	}
}
