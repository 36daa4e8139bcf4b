package balancer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/conn"
)

// tell asks the user's supervisor about a failure and returns what to do. r is the
// connection that was up and is lost; the zero Ref: an attempt has failed.
func (s *subchannel) tell(r conn.Ref, kind conn.FailureKind, err error, next time.Duration) (d conn.Directive) {
	if s.cfg.Supervise == nil {
		return conn.Directive{}
	}
	f := conn.Failure{
		Path: s.self.Probe().Path() + "/conn-" + strconv.Itoa(s.epoch), Kind: kind, Cause: err,
		Epoch: s.epoch, Count: max(s.tries, 1), Next: next,
	}
	if !s.since.IsZero() {
		f.Window = time.Since(s.since)
	}
	var ga *conn.GoAwayError
	if errors.As(err, &ga) {
		f.GoAway = ga.Frame
	}
	if kind == conn.DialFailed || kind == conn.HandshakeFailed {
		f.Path, f.Epoch = s.self.Probe().Path(), s.epoch+1
	}
	if r.Valid() {
		f.Path, f.Epoch, f.Lived = r.Probe().Path(), epochOf(r), max(time.Since(r.Probe().Started()), 1)
	}
	defer func() {
		if recover() != nil {
			d = conn.Directive{} // it is the user's code: the subchannel goes on without its advice
		}
	}()
	return s.cfg.Supervise(f)
}

// obey carries out a directive after a failure; wait is what Default waits.
// TRANSIENT_FAILURE is where RPCs hear why. After the loss of a connection nothing
// has failed yet, so that without a pause RPCs wait for the attempt. What is
// stopped is IDLE: the next RPC has to find out that it must ask.
func (s *subchannel) obey(d conn.Directive, wait time.Duration, err error, lost bool) {
	s.again = false
	switch d.Decision {
	case conn.DecideDefault:
		s.waitFor(wait, err)
	case conn.DecideReconnect:
		if lost && d.After <= 0 {
			s.become(connectivity.Idle, err)
			s.connect()
			return
		}
		s.again = true
		s.waitFor(d.After, err)
	case conn.DecideQuarantine:
		s.notBefore = time.Now().Add(d.After)
		s.again = true
		s.waitFor(d.After, err)
	case conn.DecideStop:
		s.timer.Stop()
		s.held, s.rest = stopped, time.Now().Add(wait)
		s.become(connectivity.Idle, err)
	case conn.DecideEscalate:
		s.timer.Stop()
		s.held = escalated
		s.become(connectivity.TransientFailure, err)
	}
}

func (s *subchannel) waitFor(d time.Duration, err error) {
	if d > 0 {
		err = &waiting{err: err, next: time.Now().Add(d)}
	}
	s.become(connectivity.TransientFailure, err)
	s.timer.Reset(d)
}

// release lets attempts begin that a supervisor has stopped. An RPC that asks
// over and over must not turn that into attempts without a pause.
func (s *subchannel) release(now bool) {
	if s.held != stopped {
		return
	}
	if left := time.Until(s.rest); !now && left > 0 {
		s.timer.Reset(left)
		return
	}
	s.timer.Stop()
	s.held = free
	if s.wanted {
		s.connect()
		return
	}
	s.become(connectivity.Idle, nil) // the balancer knows that it is not held any more
}

// news: the resolver offers something else than before.
func (s *subchannel) news() {
	if s.held == escalated {
		s.recovered()
	}
}

var errQuarantined = errors.New("the supervisor wants no connection to this address")

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

// HandleFailure implements actor.SupervisorStrategy: a connection that panics
// is stopped; what that means is decided as for any other loss.
func (s *subchannel) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	sup.StopChildren(child)
	ref, ok := s.conns[child.Id]
	if !ok {
		return
	}
	err, isErr := reason.(error)
	if !isErr {
		err = fmt.Errorf("%v", reason)
	}
	s.self.Tell(&conn.Down{Ref: ref, Err: err, Ready: s.state == connectivity.Ready})
}

// epochOf is the number in the name of a connection's actor.
func epochOf(r conn.Ref) int {
	name := r.Probe().Path()
	n, _ := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return n
}

func goAwayError(m *conn.GoAway) error {
	if m.Frame == nil {
		return errors.New("connection draining")
	}
	return &conn.GoAwayError{Frame: m.Frame}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
