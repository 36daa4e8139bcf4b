package demo

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// tally counts what the load does. Callers write it, the screen reads it.
type tally struct {
	began     time.Time
	recovered chan time.Duration // what the cut cost: the time to the next answer

	calls          atomic.Int64 // in flight
	callsOK        atomic.Int64
	callsRetried   atomic.Int64
	callsFailed    atomic.Int64
	streams        atomic.Int64 // open
	streamsRetried atomic.Int64
	streamsFailed  atomic.Int64
	messages       atomic.Int64 // round trips on streams
	latency        histogram

	cutting     atomic.Bool  // set before the socket is broken
	cutAt       atomic.Int64 // since began, after it was broken; 0: not yet
	recoveredAt atomic.Int64
	cutCalls    int64 // in flight then
	cutStreams  int64
	history     []point

	mu    sync.Mutex
	first error // the first failure
}

func newTally() *tally {
	return &tally{began: time.Now(), recovered: make(chan time.Duration, 1)}
}

func (t *tally) elapsed() time.Duration { return time.Since(t.began) }

func (t *tally) callBegins() time.Time {
	t.calls.Add(1)
	return time.Now()
}

// callEnds counts a call that began at began; attempt is when the last request
// was made for it.
func (t *tally) callEnds(began, attempt time.Time, err error) {
	t.calls.Add(-1)
	if err != nil {
		t.callsFailed.Add(1)
		t.note(err)
		return
	}
	t.callsOK.Add(1)
	now := time.Now()
	t.latency.add(now.Sub(began))
	if cut := t.cutAt.Load(); cut != 0 && t.recoveredAt.Load() == 0 && int64(attempt.Sub(t.began)) > cut {
		if at := int64(now.Sub(t.began)); t.recoveredAt.CompareAndSwap(0, at) {
			t.recovered <- time.Duration(at - cut)
		}
	}
}

func (t *tally) failedStream(err error) {
	t.streamsFailed.Add(1)
	t.note(err)
}

func (t *tally) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.first = err
	}
}

// cutNow cuts and remembers what was in flight.
func (t *tally) cutNow(cut func()) (calls, streams int64) {
	t.cutCalls, t.cutStreams = t.calls.Load(), t.streams.Load()
	t.cutting.Store(true)
	cut()
	t.cutAt.Store(int64(t.elapsed()))
	return t.cutCalls, t.cutStreams
}

// interrupted says whether an RPC that was made at attempt and got UNAVAILABLE
// was on the connection that was cut: it was if it was made before the new one
// answered. Any other UNAVAILABLE is a failure.
func (t *tally) interrupted(attempt time.Time) bool {
	at := t.recoveredAt.Load()
	return t.cutting.Load() && (at == 0 || int64(attempt.Sub(t.began)) < at)
}

// verdict is the error of a run that did not go as promised.
func (t *tally) verdict() error {
	var errs []error
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.callsFailed.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d unary calls failed; the first failure: %w", n, t.first))
	}
	if n := t.streamsFailed.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d streams failed; the first failure: %w", n, t.first))
	}
	if t.recoveredAt.Load() == 0 {
		errs = append(errs, errors.New("no call was answered after the cut"))
	}
	return errors.Join(errs...)
}
