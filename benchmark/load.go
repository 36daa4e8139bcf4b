package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

// callDeadline is set on every unary call, as a careful program would.
const callDeadline = 10 * time.Second

// tally counts one caller's finished operations, on a cache line of its own.
type tally struct {
	n atomic.Int64
	_ [56]byte
}

// load is a set of callers that run until told to stop.
type load struct {
	stop    atomic.Bool
	tallies []tally
	done    sync.WaitGroup
	failed  chan error // the first failure
}

// startLoad starts w's callers. With several channels they use one after the
// other.
func startLoad(w workload, ccs []Client, lifetime time.Duration) *load {
	l := &load{tallies: make([]tally, w.callers()), failed: make(chan error, 1)}
	cls := make([]pb.BenchmarkServiceClient, len(ccs))
	for i, cc := range ccs {
		cls[i] = pb.NewBenchmarkServiceClient(cc)
	}
	for i := range l.tallies {
		l.done.Go(func() {
			var err error
			switch w.kind {
			case pingPong:
				err = l.pingPong(cls[0], &l.tallies[i], smallBody, lifetime)
			case large:
				err = l.pingPong(cls[0], &l.tallies[i], largeBody, lifetime)
			default:
				err = l.unary(cls, i, &l.tallies[i])
			}
			if err != nil {
				select {
				case l.failed <- err:
				default:
				}
			}
		})
	}
	return l
}

// unary calls through cls in turn, from the caller's own place on.
func (l *load) unary(cls []pb.BenchmarkServiceClient, caller int, t *tally) error {
	q := &pb.SimpleRequest{ResponseSize: smallBody, Payload: payload(smallBody)}
	for at := caller; !l.stop.Load(); at += len(l.tallies) {
		ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
		_, err := cls[at%len(cls)].UnaryCall(ctx, q)
		cancel()
		if err != nil {
			return err
		}
		t.n.Add(1)
	}
	return nil
}

// pingPong gives its stream a deadline past the end of the measurement.
func (l *load) pingPong(cl pb.BenchmarkServiceClient, t *tally, size int32, lifetime time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), lifetime+callDeadline)
	defer cancel()
	st, err := cl.StreamingCall(ctx)
	if err != nil {
		return err
	}
	q := &pb.SimpleRequest{ResponseSize: size, Payload: payload(int(size))}
	for !l.stop.Load() {
		if err := st.Send(q); err != nil {
			_, err = st.Recv() // the status behind Send's io.EOF
			return err
		}
		if _, err := st.Recv(); err != nil {
			return err
		}
		t.n.Add(1)
	}
	return st.CloseSend()
}

// finished is the number of operations so far.
func (l *load) finished() int64 {
	var n int64
	for i := range l.tallies {
		n += l.tallies[i].n.Load()
	}
	return n
}

// awaitProgress prolongs a measurement that was too short for a single operation
// on a slow machine, within the time one call is given.
func (l *load) awaitProgress(from int64) {
	for limit := time.Now().Add(callDeadline); l.finished() == from && len(l.failed) == 0 && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
}

// end stops the callers and returns the first failure of any.
func (l *load) end() error {
	l.stop.Store(true)
	l.done.Wait()
	select {
	case err := <-l.failed:
		return err
	default:
		return nil
	}
}
