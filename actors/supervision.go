package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Directive is what a supervisor does about a failed child.
type Directive uint8

const (
	// Stop ends the child and its children.
	Stop Directive = iota
	// Escalate makes it the failure of the supervisor itself. One that has no
	// supervisor stops the child.
	Escalate
	// Restart gives the child a new incarnation after the backoff. It keeps
	// its mailbox; messages wait until it has started.
	Restart
	// Resume lets the child go on behind the message it failed on.
	Resume
)

func (d Directive) String() string {
	switch d {
	case Stop:
		return "stop"
	case Escalate:
		return "escalate"
	case Restart:
		return "restart"
	case Resume:
		return "resume"
	default:
		return "unknown"
	}
}

// Supervision decides about failed children. The reason of a failure is a
// *[Panic]. Each decision is published as an actor.SupervisorEvent, except
// Escalate, which the next supervisor decides.
type Supervision struct {
	// Decide is called on the supervisor's turn. Nil stops.
	Decide func(who *actor.PID, reason, msg any) Directive
	// Backoff delays a Restart. Failures are in a row while each follows the
	// one before within twice the longest delay.
	Backoff Backoff
}

var _ actor.SupervisorStrategy = (*Supervision)(nil)

// stopFailed is the strategy where none is given.
var stopFailed actor.SupervisorStrategy = &Supervision{}

// OnFailure lets a function decide. A Restart waits for GRPCBackoff.
func OnFailure(decide func(who *actor.PID, reason, msg any) Directive) actor.SupervisorStrategy {
	return &Supervision{Decide: decide, Backoff: GRPCBackoff}
}

// StopFailed stops every child that fails.
func StopFailed() actor.SupervisorStrategy { return stopFailed }

// EscalateFailed makes every failure of a child the supervisor's own.
func EscalateFailed() actor.SupervisorStrategy { return always(Escalate, Backoff{}) }

// RestartFailed restarts every child that fails after the backoff.
func RestartFailed(b Backoff) actor.SupervisorStrategy { return always(Restart, b) }

func always(d Directive, b Backoff) actor.SupervisorStrategy {
	return &Supervision{Decide: func(*actor.PID, any, any) Directive { return d }, Backoff: b}
}

// HandleFailure implements actor.SupervisorStrategy.
func (s *Supervision) HandleFailure(as *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, msg any,
) {
	d := Stop
	if s.Decide != nil {
		d = s.Decide(child, reason, msg)
	}
	switch d {
	case Restart:
		publishFailure(as, child, reason, actor.RestartDirective)
		s.restart(as, sup, child, rs)
	case Resume:
		publishFailure(as, child, reason, actor.ResumeDirective)
		sup.ResumeChildren(child)
	case Escalate:
		// Only an actor can escalate; a guardian would panic.
		if _, ok := sup.(actor.Context); ok {
			sup.EscalateFailure(reason, msg)
			return
		}
		fallthrough
	default:
		publishFailure(as, child, reason, actor.StopDirective)
		sup.StopChildren(child)
	}
}

func (s *Supervision) restart(as *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics) {
	window := 2 * max(s.Backoff.Max, s.Backoff.Base)
	if window > 0 && rs.NumberOfFailures(window) == 0 {
		rs.Reset()
	}
	rs.Fail()
	d := s.Backoff.Delay(rs.FailureCount())
	if d <= 0 {
		sup.RestartChildren(child)
		return
	}
	time.AfterFunc(d, func() {
		// It may have been stopped while it waited.
		if _, alive := as.ProcessRegistry.GetLocal(child.Id); alive {
			sup.RestartChildren(child)
		}
	})
}

func publishFailure(as *actor.ActorSystem, child *actor.PID, reason any, d actor.Directive) {
	as.EventStream.Publish(&actor.SupervisorEvent{Child: child, Reason: reason, Directive: d})
}
