package callboard

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/internal/attempt"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// try is one attempt of a streaming RPC, on one connection.
type try struct {
	attempt.Start
	ctx     context.Context    // the RPC's, with what the stats handlers put into it
	stop    context.CancelFunc // ends this attempt only; nil where it is the only one
	stats   *clientStats
	ref     picked
	began   time.Time
	watch   stopwatch    // only read once the attempt is open
	call    *stream.Call // one that is over already, where no connection took the attempt
	err     error        // why none did
	failed  attempt.Ended
	result  error                    // how it ended, once judged
	gaveUp  atomic.Pointer[WhyError] // why it was cancelled with the RPC's context
	judging sync.Once
	ending  sync.Once

	// The relay's, under its lock.
	next    int  // the number of the message to push next
	closed  bool // half-closed
	opened  bool // under a policy: it has a stream, and no end that is being dealt with
	pushing bool // a pusher is at it
	lost    bool // given up
}

// open begins the attempt: it picks a connection and waits for a stream there.
func (t *try) open(ctx context.Context, s *clientStream) {
	b := s.begin
	b.transparent = t.Transparent
	t.ctx, t.stats = s.cc.beginStats(ctx, &s.info, b)
	if t.call, t.err = t.dial(s); t.err != nil {
		t.call = deadCall(t.err)
		return
	}
	t.stats.sentHeader(t.call)
}

func (t *try) dial(s *clientStream) (*stream.Call, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	var err error
	if t.ref, err = s.cc.edge.pick(t.ctx, s.begin.method, s.info.waitForReady, &t.watch); err != nil {
		t.failed = pickFailed(err)
		return nil, statusError(err)
	}
	t.began = t.ref.clock()
	c := stream.NewCall()
	c.Keep = true
	c.Request.PreviousAttempts = t.Previous
	if err := s.cc.fillRequest(t.ctx, c, s.begin.method, &s.info, &t.ref); err != nil {
		c.Discard()
		t.failed.Code = status.Code(err)
		return nil, err
	}
	c.Open(t.ref.Transport())
	if err := c.WaitOpened(t.ctx.Done()); err != nil {
		why := s.cc.gaveUp(t.ctx, c, t.ref.Ref, &t.watch)
		if c.Cancel(why.st.Code(), why.st.Message()) {
			c.Release()
			t.failed.Code = why.st.Code()
			return nil, why
		}
	}
	if !c.Opened() {
		t.failed = endOf(c)
		err := c.Status().Err()
		c.Release()
		return nil, err
	}
	return c, nil
}

// deadCall stands where an attempt has no call of a connection.
func deadCall(err error) *stream.Call {
	c := stream.NewCall()
	c.Keep = true
	st := status.Convert(err)
	c.Refuse(&streamfsm.Outcome{Status: st, Code: st.Code()})
	return c
}

// outcome is how the attempt ended; nil for OK. It is asked for before the
// attempt is let go, which loses what it is made of.
func (t *try) outcome(cc *ClientConn) error {
	t.judging.Do(func() {
		t.result = t.err
		if st := t.call.Status(); t.err == nil && st != nil {
			w := t.watch
			if why := t.gaveUp.Load(); why != nil && why.became(st) {
				t.result = why // whoever cancelled may get here later
				return
			}
			t.result = cc.ended(t.call, st, t.ref.Ref, &w)
		}
	})
	return t.result
}

// end tells who wants to know how the attempt went, and lets go of it. Only the
// first word counts. err is nil or io.EOF for OK.
func (t *try) end(err error) {
	t.ending.Do(func() { t.letGo(err) })
}

// conclude ends an attempt that is over, with its outcome.
func (t *try) conclude(cc *ClientConn) {
	t.ending.Do(func() { t.letGo(t.outcome(cc)) })
}

func (t *try) letGo(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if t.stop != nil {
		defer t.stop() // also when user code below panics
	}
	defer t.call.Release()
	t.stats.gotTrailer(t.call)
	t.stats.end(err)
	switch {
	case t.err == nil:
		t.ref.report(t.call, err, t.began)
	case t.failed.Unsent:
		t.ref.gone()
	default:
		t.ref.finished(policy.DoneInfo{Err: err})
	}
}

// giveUp cancels an attempt that is not going to be the RPC.
func (t *try) giveUp(why *status.Status) {
	t.call.Cancel(why.Code(), why.Message())
	t.end(why.Err())
}

func (t *try) peer() *peer.Peer {
	if !t.ref.Valid() {
		return nil
	}
	return peerOf(t.ref.Info())
}

func (t *try) header() metadata.MD { return headerOf(t.call) }
