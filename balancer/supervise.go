package balancer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/conn"
)

// ask tells the user's supervisor about a failure and returns what to do.
func (s *subchannel) ask(kind conn.FailureKind, err error, next time.Duration) (d conn.Directive) {
	if s.cfg.Supervise == nil {
		return conn.Directive{}
	}
	f := conn.Failure{
		Path: s.self.Probe().Path() + "/conn-" + strconv.Itoa(s.epoch), Kind: kind, Cause: err,
		Epoch: s.epoch, Count: max(s.tries, 1), Window: time.Since(s.since), Next: next,
	}
	if kind == conn.DialFailed || kind == conn.HandshakeFailed {
		f.Path, f.Epoch = s.self.Probe().Path(), s.epoch+1
	}
	if s.goAway != nil {
		f.GoAway = s.goAway.Frame
	}
	defer func() {
		if recover() != nil {
			d = conn.Directive{} // it is the user's code: the subchannel goes on without its advice
		}
	}()
	return s.cfg.Supervise(f)
}

// obey carries out a directive after a failure; wait is what Default waits.
func (s *subchannel) obey(d conn.Directive, wait time.Duration, err error, lost bool) {
	switch d.Decision {
	case conn.DecideDefault:
		s.waitFor(wait, err, lost)
	case conn.DecideReconnect, conn.DecideQuarantine:
		if lost && d.After <= 0 {
			// Nothing has failed yet: RPCs wait for the attempt, as after Default.
			s.become(connectivity.Idle, err, true)
			s.connect()
			return
		}
		s.waitFor(d.After, err, lost)
	case conn.DecideStop:
		s.become(connectivity.Idle, err, lost)
	case conn.DecideEscalate:
		s.timer.Stop()
		s.escalated = true
		s.become(connectivity.TransientFailure, err, lost)
	}
}

func (s *subchannel) waitFor(d time.Duration, err error, lost bool) {
	if d > 0 {
		err = &waiting{err: err, next: time.Now().Add(d)}
	}
	s.become(connectivity.TransientFailure, err, lost)
	s.timer.Reset(d)
}

// waiting adds to a failure when the next attempt comes.
type waiting struct {
	err  error
	next time.Time
}

func (w *waiting) Error() string {
	left := time.Until(w.next).Round(10 * time.Millisecond)
	if left <= 0 {
		return w.err.Error() + ", next attempt now"
	}
	return fmt.Sprintf("%v, next attempt in %v", w.err, left)
}

func (w *waiting) Unwrap() error { return w.err }

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

// HandleFailure implements actor.SupervisorStrategy: a connection that panics
// is stopped; what that means is decided as for any other loss.
func (s *subchannel) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	sup.StopChildren(child)
	if !s.current.Valid() || s.current.PID().Id != child.Id {
		return
	}
	err, ok := reason.(error)
	if !ok {
		err = fmt.Errorf("%v", reason)
	}
	s.self.Tell(&conn.Down{Ref: s.current, Err: err, Ready: s.state == connectivity.Ready})
}

func goAwayError(m *conn.GoAway) error {
	if m.Frame == nil {
		return errors.New("connection draining")
	}
	return fmt.Errorf("server sent GOAWAY %v: %q", m.Frame.Code, m.Frame.Debug)
}

func offered(list []grpcresolver.Address, a grpcresolver.Address) bool {
	return slices.ContainsFunc(list, func(b grpcresolver.Address) bool { return same(a, b) })
}

func same(a, b grpcresolver.Address) bool { return a.Addr == b.Addr && a.ServerName == b.ServerName }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
