package callboard

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer"
)

// Stage is how far an RPC got.
type Stage uint8

// Stages, in the order in which an RPC passes them if all goes well.
const (
	Resolving          Stage = iota + 1 // the target's endpoints are not known
	Picking                             // they are, but the load balancing policy has none to offer
	Connecting                          // no subchannel is READY
	WaitingForStream                    // the server allows no further stream on the connection (RFC 9113 5.1.2)
	SendingBlocked                      // the request is not sent yet: the server grants no window (RFC 9113 5.2), or the socket is full
	WaitingForResponse                  // the request is on its way
	Lost                                // the connection is gone, or the server's transport gave the stream up
	Retrying                            // an attempt has failed and the next is not due yet (gRFC A6)
)

var stageNames = [...]string{
	"", "resolving", "picking", "connecting", "waiting for a stream", "sending", "waiting for the response", "lost", "retrying",
}

func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// Why is where an RPC was when it failed, and why. It stays in this process.
type Why struct {
	Stage  Stage
	Target string // of the channel, as given to NewClient
	Path   string // of the actor the RPC waited for: the channel, or from WaitingForStream on the connection
	// Subchannels are the channel's, those that are in trouble first, and at most
	// MaxWhySubchannels of them, while the RPC has no connection.
	Subchannels []SubchannelWhy
	Elapsed     []StageTime // the stages the RPC spent time in, in order; the last is Stage, or what came before Lost
	Queued      int64       // SendingBlocked: octets of the request that wait
	// Cause is what went wrong last, as far as anything did: errors.As finds
	// *net.DNSError, syscall.Errno, tls errors and others in its chain. Nil when
	// all that happened is that nothing happened.
	Cause error
}

// MaxWhySubchannels is how many subchannels a Why lists.
const MaxWhySubchannels = balancer.MaxSituations

// SubchannelWhy is the state of one subchannel.
type SubchannelWhy struct {
	Path        string
	Address     string // the one tried last; empty: none yet
	State       connectivity.State
	LastError   error     // nil: there was none since it was READY last
	NextAttempt time.Time // in TRANSIENT_FAILURE; zero: nobody knows, or not before something changes
}

// StageTime is how long an RPC was in a stage.
type StageTime struct {
	Stage Stage
	For   time.Duration
}

// WhyError is the error of an RPC that this side ended: with UNAVAILABLE,
// DEADLINE_EXCEEDED or CANCELLED. It is a status error as others are, for
// status.FromError, status.Code and errors.Is; WhyOf finds it in a chain. What a
// server answers is never one.
type WhyError struct {
	Why
	st    *status.Status
	ended error // the context's error, or nil
}

var _ interface{ GRPCStatus() *status.Status } = (*WhyError)(nil)

// WhyOf finds the detail of an RPC's error. ok is false if it has none: the
// server has answered, or the error is not an RPC's.
func WhyOf(err error) (why Why, ok bool) {
	var w *WhyError
	if !errors.As(err, &w) {
		return Why{}, false
	}
	return w.Why, true
}

// Error is that of the status.
func (w *WhyError) Error() string { return w.st.Err().Error() }

// GRPCStatus is what status.FromError finds.
func (w *WhyError) GRPCStatus() *status.Status { return w.st }

// became says whether st is what a call was cancelled with because of w.
func (w *WhyError) became(st *status.Status) bool {
	return w.st.Code() == st.Code() && w.st.Message() == st.Message()
}

// Unwrap gives the context's error, if that ended the RPC, and the cause, but for
// io.EOF in it: to whoever receives from a stream that is the good end, and the
// end of a socket must not look like one. Why.Cause has it.
func (w *WhyError) Unwrap() []error {
	list := make([]error, 0, 2)
	if w.ended != nil {
		list = append(list, w.ended)
	}
	if w.Cause != nil {
		list = append(list, notTheEnd{w.Cause})
	}
	return list
}

// notTheEnd is an error that is anything it was but io.EOF.
type notTheEnd struct{ error }

// Is implements what errors.Is asks for.
func (e notTheEnd) Is(target error) bool { return target != io.EOF && errors.Is(e.error, target) }

// As implements what errors.As asks for.
func (e notTheEnd) As(target any) bool { return errors.As(e.error, target) }

// Is says whether target is an equal status error, as grpc-go's own do.
func (w *WhyError) Is(target error) bool { return errors.Is(w.st.Err(), target) }

// explained is an RPC's error with its detail. ended is the context's error, or
// nil.
func explained(code codes.Code, ended error, why Why) error {
	return &WhyError{Why: why, ended: ended, st: status.New(code, why.text(ended, time.Now()))}
}

// explainedStatus is explained for a status that has its words already.
func explainedStatus(st *status.Status, ended error, why Why) error {
	return &WhyError{Why: why, ended: ended, st: st}
}

// stopwatch measures the stages of an RPC that has to wait. The zero value
// measures nothing, and one that never waits reads no clock.
type stopwatch struct {
	past  []StageTime
	stage Stage
	since time.Time
}

// enter begins a stage, unless it is the one that runs.
func (w *stopwatch) enter(s Stage, now time.Time) {
	if s == w.stage {
		return
	}
	w.past, w.stage, w.since = w.read(now), s, now
}

// stop ends the stage that runs, if one does.
func (w *stopwatch) stop() {
	if w.stage != 0 {
		w.enter(0, time.Now())
	}
}

// read gives the times up to now.
func (w *stopwatch) read(now time.Time) []StageTime {
	list := slices.Clip(w.past)
	if d := now.Sub(w.since); w.stage != 0 && d > 0 {
		list = append(list, StageTime{Stage: w.stage, For: d})
	}
	return list
}
