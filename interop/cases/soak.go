package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
)

// Soak configures rpc_soak and channel_soak.
type Soak struct {
	Iterations     int           // in all, shared by the workers
	Workers        int           // 0 means 1
	MaxFailures    int           // how many iterations may fail or be too slow
	MaxLatency     time.Duration // of one iteration; 0 means any
	OverallTimeout time.Duration // 0 means the context's
	MinInterval    time.Duration // between two calls of one worker
	RequestSize    int           // bytes; 0 means that of large_unary
	ResponseSize   int           // bytes; 0 means that of large_unary
	// Log gets one line per iteration and a summary; nil discards them.
	Log func(format string, args ...any)
}

func (s Soak) withDefaults() Soak {
	if s.Workers == 0 {
		s.Workers = 1
	}
	if s.RequestSize == 0 {
		s.RequestSize = largeRequest
	}
	if s.ResponseSize == 0 {
		s.ResponseSize = largeResponse
	}
	if s.Log == nil {
		s.Log = func(string, ...any) {}
	}
	return s
}

// rpcSoak makes large unary calls on one channel for a while.
func rpcSoak(ctx context.Context, e *Env) error {
	return soak(ctx, e.Soak.withDefaults(), func() (grpc.ClientConnInterface, func(), error) {
		return e.Conn, func() {}, nil
	})
}

// channelSoak does the same with a new channel for each call.
func channelSoak(ctx context.Context, e *Env) error {
	if e.Open == nil {
		return errors.New("channel_soak needs a way to open channels")
	}
	return soak(ctx, e.Soak.withDefaults(), func() (grpc.ClientConnInterface, func(), error) {
		c, err := e.Open()
		if err != nil {
			return nil, nil, err
		}
		return c, func() { _ = c.Close() }, nil
	})
}

type acquire func() (grpc.ClientConnInterface, func(), error)

// tally is what the workers found out together.
type tally struct {
	mu        sync.Mutex
	latencies []time.Duration
	failures  int
}

func soak(ctx context.Context, s Soak, get acquire) error {
	if s.Iterations%s.Workers != 0 {
		return fmt.Errorf("%d iterations cannot be shared by %d workers", s.Iterations, s.Workers)
	}
	if s.OverallTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.OverallTimeout)
		defer cancel()
	}
	var (
		wg sync.WaitGroup
		t  tally
	)
	for worker := range s.Workers {
		wg.Go(func() { t.work(ctx, s, worker, get) })
	}
	wg.Wait()
	return t.verdict(s)
}

func (t *tally) work(ctx context.Context, s Soak, worker int, get acquire) {
	for i := range s.Iterations / s.Workers {
		if ctx.Err() != nil {
			return
		}
		earliest := time.After(s.MinInterval)
		var from peer.Peer
		latency, err := iterate(ctx, s, get, &from)
		outcome := "succeeded"
		switch {
		case err != nil:
			outcome = "failed: " + err.Error()
		case s.MaxLatency > 0 && latency > s.MaxLatency:
			err = errors.New("too slow")
			outcome = fmt.Sprintf("exceeds max acceptable latency: %d", s.MaxLatency.Milliseconds())
		}
		s.Log("worker %d: soak iteration: %d elapsed_ms: %d peer: %v %s", worker, i, latency.Milliseconds(), from.Addr, outcome)
		t.add(latency, err)
		select {
		case <-earliest:
		case <-ctx.Done():
		}
	}
}

func iterate(ctx context.Context, s Soak, get acquire, from *peer.Peer) (time.Duration, error) {
	start := time.Now()
	cc, done, err := get()
	if err != nil {
		return 0, err
	}
	defer done()
	err = large(ctx, pb.NewTestServiceClient(cc), s.RequestSize, s.ResponseSize, grpc.Peer(from))
	return time.Since(start), err
}

func (t *tally) add(latency time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = append(t.latencies, latency)
	if err != nil {
		t.failures++
	}
}

func (t *tally) verdict(s Soak) error {
	slices.Sort(t.latencies)
	n := len(t.latencies)
	if n > 0 {
		s.Log("soak test successes: %d / %d iterations, failures: %d, latency: median %v, 90%% %v, worst %v",
			n-t.failures, s.Iterations, t.failures, t.latencies[n/2], t.latencies[n*9/10], t.latencies[n-1])
	}
	if n < s.Iterations {
		return fmt.Errorf("soak ended early: %d of %d iterations within %v", n, s.Iterations, s.OverallTimeout)
	}
	if t.failures > s.MaxFailures {
		return fmt.Errorf("soak had %d failures, %d are allowed", t.failures, s.MaxFailures)
	}
	return nil
}
