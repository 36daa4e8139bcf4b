package callboard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/internal/attempt"
	"github.com/callboard-rpc/callboard/stream"
)

// retrial decides about the attempts of an RPC that are made one after the
// other. It is made when the first has failed, so an RPC that succeeds never has
// one.
type retrial struct {
	machine attempt.Machine
	fx      attempt.Effects
	under   attempt.Start // the attempt under way
}

func (cc *ClientConn) attemptConfig(p *attempt.Policy, th *attempt.Throttle) attempt.Config {
	return attempt.Config{Policy: p, Limit: cc.opts.maxAttempts, Throttle: th, Rand: rand.Float64}
}

func (cc *ClientConn) newRetrial(p *attempt.Policy, th *attempt.Throttle) *retrial {
	r := &retrial{machine: attempt.New(cc.attemptConfig(p, th))}
	r.step(attempt.Begin{})
	r.under = r.fx.Start[0]
	return r
}

func (r *retrial) step(ev attempt.Event) {
	r.fx.Reset()
	r.machine.Step(ev, time.Now(), &r.fx)
}

// ended takes the end of the attempt under way, and says whether another
// follows.
func (r *retrial) ended(ev attempt.Ended) bool {
	ev.N = r.under.N
	r.step(ev)
	return !r.fx.Finish
}

// next waits until the next attempt is due. last is how the one before ended.
func (r *retrial) next(ctx context.Context, cc *ClientConn, last error) error {
	for len(r.fx.Start) == 0 {
		t := time.NewTimer(time.Until(r.fx.Wake))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return cc.gaveUpRetrying(ctx, r.machine.Attempts(), last)
		}
		r.step(attempt.Tick{})
	}
	r.under = r.fx.Start[0]
	return nil
}

// gaveUpRetrying is the error of an RPC whose context ended between two
// attempts. last is how the one before ended.
func (cc *ClientConn) gaveUpRetrying(ctx context.Context, attempts int, last error) error {
	err := ctx.Err()
	text := fmt.Sprintf("%v while waiting for attempt %d at %s; the last one ended with: %s", err, attempts+1, cc.target, status.Convert(last).Message())
	why, _ := WhyOf(last)
	why.Stage, why.Target, why.Cause = Retrying, cc.target, last
	return explainedStatus(status.New(status.FromContextError(err).Code(), text), err, why)
}

// answered says whether response headers came, after which nothing is tried
// again.
func answered(c *stream.Call) bool {
	_, _, ok := c.Header()
	return ok
}

// endOf says how an attempt ended that got no response headers.
func endOf(c *stream.Call) attempt.Ended {
	o := c.Outcome()
	return attempt.Ended{
		Code:     o.Code,
		Pushback: attempt.ParsePushback(c.Trailer()[attempt.PushbackKey]),
		Unsent:   o.Unprocessed && !c.Opened(),
		Refused:  o.Unprocessed,
	}
}

// pickFailed says how an attempt ended that got no connection. What the channel
// cannot do is explained; anything else is the balancing policy's last word on
// the RPC, and it is not tried again (gRFC A6, A54).
func pickFailed(err error) attempt.Ended {
	var why *WhyError
	return attempt.Ended{Code: status.Code(err), Dropped: !errors.As(err, &why)}
}

// clock is the time, if the picker wants to know how long the attempt takes.
func (p *picked) clock() (now time.Time) {
	if p.done != nil {
		now = time.Now()
	}
	return now
}

// report tells the picker how the attempt went that began at began.
func (p *picked) report(c *stream.Call, err error, began time.Time) {
	if p.done == nil {
		return
	}
	if !c.Opened() {
		p.gone()
		return
	}
	trailer := c.Trailer()
	load, _ := policy.LoadOf(trailer) // one that cannot be read is none
	p.finished(policy.DoneInfo{
		Err: err, Sent: true, Received: answered(c) || c.Outcome().Trailer != nil,
		Trailer: trailer, Load: load, Latency: time.Since(began),
	})
}
