package connfsm

import (
	"fmt"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/internal/shared"
)

// Machine is one connection. Make it with New; it is not safe for concurrent
// use: one actor owns it.
type Machine struct {
	cfg   *Config // shared by connections that differ in nothing but the next four
	state State

	budget  *flow.Budget
	growth  *flow.Budget
	leaving interface{ Leaving() int }
	maxAge  time.Duration

	now time.Time // of the step at hand; never goes back

	streams table
	next    frame.StreamID // client: the id of the next stream
	highest frame.StreamID // server: the highest id the peer has used
	parked  parking        // client: Opens that wait for a stream to end

	recv     flow.Receive // the connection's receive window
	readable int          // octets of whole messages that live streams hold
	bare     int          // of these, what no growth of a stream's window pays for
	owed     int          // octets that streams which are Done have not read
	charged  int          // octets the budget is charged with for these two
	lent     int          // octets the window is larger than it should be, for messages that have only begun
	read     int          // octets read since the window grew
	line     *line        // streams that may not grow yet; see ownLine

	local    local
	peer     peerSettings
	wire     pings
	drain    *drain        // see ownDrain
	goAway   *frame.GoAway // the peer's latest
	glitches glitches

	started   time.Time
	since     time.Time // when the handshake's time began
	lastRead  time.Time
	heard     bool      // something was read since the last keepalive PING
	idleSince time.Time // when the last stream ended
	armed     time.Time // the Tick that was asked for
}

// New makes a connection that awaits Start.
func New(cfg Config) *Machine {
	cfg.fill()
	m := &Machine{
		budget: cfg.Budget, growth: cfg.Growth, leaving: cfg.Leaving, maxAge: cfg.MaxAge,
		next:     1,
		recv:     flow.NewReceive(frame.DefaultWindow),
		peer:     defaultPeerSettings(),
		glitches: newGlitches(&cfg),
		line:     &nobody,
		drain:    &undrained,
	}
	cfg.Budget, cfg.Growth, cfg.Leaving, cfg.MaxAge = nil, nil, nil, 0
	m.cfg = configs.Of(cfg)
	return m
}

// configs are those in use. A server holds thousands of connections, nearly all
// of which have nothing to do: what they have in common is there once, and what
// few of them ever need is made when they do.
var configs shared.Values[Config]

// State says where the connection is in its life.
func (m *Machine) State() State { return m.state }

// Streams says how many streams are live: begun and not Done.
func (m *Machine) Streams() int { return m.streams.live }

// Parked says how many Opens wait for a stream to end.
func (m *Machine) Parked() int { return m.parked.len() }

// PeerStreams is the peer's MAX_CONCURRENT_STREAMS.
func (m *Machine) PeerStreams() uint32 { return m.peer.maxStreams }

// Begun counts the streams that a client has begun so far.
func (m *Machine) Begun() int { return int(m.next / 2) }

// Step takes one event and adds to fx what is to be done. An error is the
// *frame.ConnError that ended the connection in this very step; it has become
// GOAWAY and Closing in fx and is returned for the record.
func (m *Machine) Step(ev Event, now time.Time, fx *Effects) error {
	if now.After(m.now) {
		m.now = now
	}
	if f, ok := ev.(frame.Frame); ok {
		if breach := m.receive(f, fx); breach != nil {
			discard(f, fx)
			return m.fail(breach, fx)
		}
		return nil
	}
	var breach *frame.ConnError
	switch ev := ev.(type) {
	case *Open:
		m.open(ev.Ref, fx)
	case *Done:
		m.done(ev, fx)
	case *Credit:
		m.credit(ev, fx)
	case *Starved:
		m.starved(ev, fx)
	case *Returned:
		m.feed(fx)
	case *Wrote:
		m.wrote(ev)
	case *Tick:
		breach = m.tick(fx)
	case *Reset:
		breach = m.weReset()
	case *Withdraw:
		m.parked.withdraw(ev.Ref)
	case *Spill:
		m.refuseParked(fx)
	case *Start:
		breach = m.start(ev, fx)
	case *Drain:
		m.drainGently(ev.Code, ev.Reason, fx)
	case *Close:
		m.closeNow(ev, fx)
	case *TransportDown:
		breach = m.transportDown(ev.Err, fx)
	default:
		panic(fmt.Sprintf("connfsm: event %T in state %v", ev, m.state))
	}
	if breach != nil {
		return m.fail(breach, fx)
	}
	return nil
}

// become is the one place where the state changes.
func (m *Machine) become(s State, on string, fx *Effects) {
	fx.Transition = append(fx.Transition, Transition{From: m.state.String(), To: s.String(), On: on})
	m.state = s
}

// start announces our settings. The connection's window has no setting of its
// own: it is raised by WINDOW_UPDATE (RFC 9113 6.9.2).
func (m *Machine) start(ev *Start, fx *Effects) *frame.ConnError {
	switch m.state {
	case StateIdle:
	case StateClosing, StateClosed:
		return nil // closed before the transport was up
	default:
		panic("connfsm: Start in state " + m.state.String())
	}
	m.become(StateHandshake, "start", fx)
	m.started, m.lastRead, m.idleSince = m.now, m.now, m.now
	m.since = ev.Since
	if m.since.IsZero() {
		m.since = m.now
	}
	m.announce(fx)
	m.grant(m.recv.Grow(m.cfg.ConnWindow-frame.DefaultWindow), fx)
	return m.rearm(fx)
}

// breach makes a connection error that the peer is to blame for.
func breach(code frame.ErrCode, clause, format string, args ...any) *frame.ConnError {
	return &frame.ConnError{Code: code, Blame: frame.Remote, Clause: clause, Reason: fmt.Sprintf(format, args...)}
}
