package balancer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn"
)

// dialGrace is how long a dial may take to return whose time is up.
const dialGrace = 100 * time.Millisecond

var errNoAddresses = errors.New("no addresses")

// connect begins an attempt: every address in turn, each within the time gRPC's
// connection backoff gives it.
func (s *subchannel) connect() {
	s.began, s.next, s.wanted, s.held = time.Now(), 0, false, free
	s.become(connectivity.Connecting, nil)
	switch {
	case s.quarantined():
		s.waitFor(time.Until(s.notBefore), errQuarantined)
	case len(s.list) == 0:
		s.attemptFailed(conn.DialFailed, errNoAddresses)
	default:
		s.dial()
	}
}

// dial tries one address.
func (s *subchannel) dial() {
	s.attempt++
	s.late = false
	s.at = s.list[s.next]
	s.next++
	timeout := max(s.cfg.MinConnectTimeout, s.backoff())
	s.stop = s.dialTo(&dialled{attempt: s.attempt, addr: s.at}, timeout)
	s.timer.Reset(timeout)
}

// dialTo dials. Edge: dialling blocks, so it has a goroutine; it posts one
// message and ends.
func (s *subchannel) dialTo(m *dialled, timeout time.Duration) context.CancelFunc {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	dial, self := s.cfg.Dial, s.self
	go func() {
		m.run(ctx, dial)
		self.Tell(m)
	}()
	return cancel
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
	if m.extra {
		s.dialledExtra(ctx, m)
		return
	}
	if m.attempt != s.attempt || s.state != connectivity.Connecting {
		hangUp(m)
		return
	}
	if m.err != nil {
		s.failed(m.kind, fmt.Errorf("dial %s: %w", m.addr.Addr, m.err))
		return
	}
	ref, err := s.spawnConn(ctx, m)
	if err != nil {
		s.failed(conn.DialFailed, err)
		return
	}
	s.current = ref
}

// spawnConn starts a connection of the next epoch.
func (s *subchannel) spawnConn(ctx actor.Context, m *dialled) (conn.Ref, error) {
	s.epoch++
	cfg := s.cfg.Conn(m.auth)
	cfg.Machine.Keepalive.Time <<= s.calmed
	cfg.NC, cfg.AuthInfo, cfg.Parent, cfg.Table = m.nc, m.auth, s.self, s.cfg.Table
	cfg.Crowding = s.cfg.MaxConns > 1
	ref, err := conn.Spawn(ctx, "conn-"+strconv.Itoa(s.epoch), cfg)
	if err != nil {
		hangUp(m)
		return conn.Ref{}, err
	}
	s.conns[ref.PID().Id] = ref
	s.account()
	return ref, nil
}

// failed: one address could not be reached; the next is tried, and after the
// last the attempt has failed.
func (s *subchannel) failed(kind conn.FailureKind, err error) {
	s.endAttempt()
	if s.next < len(s.list) {
		s.dial()
		return
	}
	s.attemptFailed(kind, err)
}

func (s *subchannel) attemptFailed(kind conn.FailureKind, err error) {
	wait := max(0, s.backoff()-time.Since(s.began))
	if s.tries == 0 {
		s.since = time.Now()
	}
	s.tries++
	s.obey(s.tell(conn.Ref{}, kind, err, wait), wait, err, false)
}

func (s *subchannel) timedOut() {
	if !s.current.Valid() && !s.late {
		// The dial's own time is up as well, and it knows what it waited for: the
		// socket or the handshake.
		s.late = true
		s.timer.Reset(dialGrace)
		return
	}
	if !s.current.Valid() {
		s.failed(conn.DialFailed, fmt.Errorf("dial %s: %w", s.at.Addr, context.DeadlineExceeded))
		return
	}
	err := fmt.Errorf("connect %s: no settings from the server within %v", s.at.Addr, time.Since(s.began).Round(time.Millisecond))
	s.current.Close("connect timeout", err)
	s.current = conn.Ref{}
	s.failed(conn.HandshakeTimeout, err)
}

// endAttempt stops the dial that is under way, and what it may still bring.
func (s *subchannel) endAttempt() {
	s.timer.Stop()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	s.attempt++
}

// backoff is gRPC's connection backoff after the failures so far.
func (s *subchannel) backoff() time.Duration {
	b := s.cfg.Backoff
	d := float64(b.BaseDelay)
	for range s.tries {
		d *= b.Multiplier
		if d >= float64(b.MaxDelay) {
			d = float64(b.MaxDelay)
			break
		}
	}
	if s.tries > 0 && s.cfg.Jitter != nil {
		d *= 1 + b.Jitter*(2*s.cfg.Jitter()-1)
	}
	return time.Duration(max(d, 0))
}

func offered(list []grpcresolver.Address, a grpcresolver.Address) bool {
	for _, b := range list {
		if same(a, b) {
			return true
		}
	}
	return false
}

func sameAddresses(a, b []grpcresolver.Address) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !same(a[i], b[i]) {
			return false
		}
	}
	return true
}

func same(a, b grpcresolver.Address) bool { return a.Addr == b.Addr && a.ServerName == b.ServerName }
