package callboard

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/stream"
)

// gaveUp is the error of a call whose context ended before the call did.
func (cc *ClientConn) gaveUp(ctx context.Context, c *stream.Call, ref conn.Ref, w *stopwatch) *WhyError {
	why := Why{Stage: WaitingForResponse, Target: cc.target, Path: pathOf(ref)}
	if !c.Opened() {
		why.Stage = WaitingForStream
	} else if why.Queued = c.Queued(); why.Queued > 0 {
		why.Stage = SendingBlocked
	}
	why.Elapsed, why.Cause = elapsed(c, why.Stage, w), ref.Cause()
	err := ctx.Err()
	st := status.FromContextError(err)
	return &WhyError{Why: why, ended: err, st: status.New(st.Code(), why.text(err, time.Now()))}
}

// ended is the error of a call with status st: with a detail if it was not the
// server that answered.
func (cc *ClientConn) ended(c *stream.Call, st *status.Status, ref conn.Ref, w *stopwatch) error {
	o := c.Outcome()
	switch {
	case o.Trailer != nil:
		return st.Err()
	case st.Code() != codes.Unavailable && st.Code() != codes.DeadlineExceeded && st.Code() != codes.Canceled:
		return st.Err()
	case !o.Reset && ref.Up():
		return st.Err() // it ended in HTTP, which is an answer, too
	}
	why := Why{Stage: Lost, Target: cc.target, Path: pathOf(ref), Elapsed: elapsed(c, WaitingForResponse, w), Cause: ref.Cause()}
	if o.Reset {
		why.Cause = &frame.StreamError{Code: o.ResetCode, Blame: frame.Remote, Reason: "reset by the peer"}
	}
	return explainedStatus(st, nil, why)
}

// elapsed adds the time since the call was given to its connection. A call with
// a deadline has read the clock then, for its grpc-timeout, and one that had to
// wait for its connection when it got it. Of others nobody knows: nothing is
// measured for an RPC that may well succeed.
func elapsed(c *stream.Call, s Stage, was *stopwatch) []StageTime {
	now, w := time.Now(), *was // which several goroutines may be reading
	if r := &c.Request; r.HasTimeout {
		w.enter(s, c.Deadline.Add(-r.Timeout))
	} else if !w.since.IsZero() {
		w.enter(s, w.since)
	}
	return w.read(now)
}

func pathOf(ref conn.Ref) string {
	if !ref.Valid() {
		return ""
	}
	return ref.Probe().Path()
}
