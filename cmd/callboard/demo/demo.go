// Package demo is a callboard server and client in one process: load over
// loopback TCP, a connection that is cut in the middle and comes back under
// supervision, live numbers, and the actors' tree at the end.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/callboard-rpc/callboard/inspect"
)

// Config says how much load runs for how long.
type Config struct {
	Duration    time.Duration // of the load
	Concurrency int           // unary callers
	Streams     int           // bidi streams
	Deadline    time.Duration // of one unary RPC, its retries included
	WholeTree   bool          // print each stream's actor
}

const (
	sampleEvery   = 50 * time.Millisecond
	printEvery    = 500 * time.Millisecond
	connectLimit  = 5 * time.Second
	shutdownLimit = 5 * time.Second
)

// Run runs the demo and prints to out. The error says what did not go as
// promised: an RPC that failed, a connection that did not come back, actors
// that were left.
func Run(ctx context.Context, out *os.File, cfg Config) error {
	s := newScreen(out)
	r, err := newRig()
	if err != nil {
		return err
	}
	end := context.WithoutCancel(ctx) // an interrupted demo is still cleaned up
	if err := r.connect(ctx); err != nil {
		return errors.Join(err, r.close(end))
	}
	s.opening(cfg, r)

	t := newTally()
	l := startLoad(ctx, cfg, r, t)
	tree, err := watch(ctx, s, cfg, r, t)
	l.stop()
	if err != nil {
		s.keep()
		return errors.Join(err, r.close(end))
	}

	s.report(t)
	s.tree(tree, cfg.WholeTree)
	began := time.Now()
	err = r.close(end)
	s.closing(time.Since(began), r.sys.Inspect().Actors, err)
	return errors.Join(t.verdict(), err)
}

// watch prints while the load runs, cuts the connection at half time, and
// returns the tree as it was under load.
func watch(ctx context.Context, s *screen, cfg Config, r *rig, t *tally) (*inspect.Snapshot, error) {
	sample, line := time.NewTicker(sampleEvery), time.NewTicker(printEvery)
	defer sample.Stop()
	defer line.Stop()
	half, whole := time.After(cfg.Duration/2), time.After(cfg.Duration)
	g := newGauge(r.sys, t)
	for {
		select {
		case <-sample.C:
			g.sample()
		case <-line.C:
			s.live(g.reading())
		case <-half:
			s.event(t.elapsed(), "cut", cut(r, t))
		case f := <-r.failures:
			s.failure(f.at.Sub(t.began), f.failure, f.answer)
		case took := <-t.recovered:
			s.event(t.elapsed(), "recovered", "the new connection's first answer came "+short(took)+" after the cut")
		case <-whole:
			if t.elapsed()-g.last.at > printEvery/2 {
				s.live(g.reading())
			}
			t.history = g.history
			return r.sys.Inspect(), nil
		case <-ctx.Done():
			s.live(g.reading())
			return nil, errors.New("interrupted")
		}
	}
}

// cut breaks the connection as a dying machine would, and says what was in
// flight.
func cut(r *rig, t *tally) string {
	calls, streams := t.cutNow(r.lis.cut)
	return fmt.Sprintf("the server's socket is reset; in flight: %d calls, %d streams", calls, streams)
}
