package demo

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// load is the callers and talkers. Each finishes what it is at when the load
// stops, so stopping fails no RPC.
type load struct {
	stub    pb.BenchmarkServiceClient
	t       *tally
	limit   time.Duration
	ctx     context.Context // ends only when the whole demo is interrupted
	stopped chan struct{}
	wg      sync.WaitGroup
}

func startLoad(ctx context.Context, cfg Config, r *rig, t *tally) *load {
	l := &load{stub: pb.NewBenchmarkServiceClient(r.cc), t: t, limit: cfg.Deadline, ctx: ctx, stopped: make(chan struct{})}
	for range cfg.Concurrency {
		l.wg.Go(l.caller)
	}
	for range cfg.Streams {
		l.wg.Go(l.talker)
	}
	return l
}

func (l *load) stop() {
	close(l.stopped)
	l.wg.Wait()
}

func (l *load) over() bool {
	select {
	case <-l.stopped:
		return true
	case <-l.ctx.Done():
		return true
	default:
		return false
	}
}

// caller makes unary calls, one after the other.
func (l *load) caller() {
	req := request()
	for !l.over() {
		l.call(req)
	}
}

// call is one wait-for-ready call with a deadline. The library repeats by
// itself what no server can have seen; an RPC that was in flight when its
// connection broke may have been processed, so whether to repeat it is for the
// application to say. This one may.
func (l *load) call(req *pb.SimpleRequest) {
	ctx, cancel := context.WithTimeout(l.ctx, l.limit)
	defer cancel()
	began := l.t.callBegins()
	for attempt := began; ; attempt = time.Now() {
		_, err := l.stub.UnaryCall(ctx, req, grpc.WaitForReady(true))
		if status.Code(err) == codes.Unavailable && l.t.interrupted(attempt) {
			l.t.callsRetried.Add(1)
			continue
		}
		l.t.callEnds(began, attempt, err)
		return
	}
}

// talker keeps one bidi stream open and sends messages to and fro.
func (l *load) talker() {
	for !l.over() {
		began := time.Now()
		err := l.talk()
		switch {
		case err == nil:
		case status.Code(err) == codes.Unavailable && l.t.interrupted(began):
			l.t.streamsRetried.Add(1)
		default:
			l.t.failedStream(err)
			return
		}
	}
}

// talk is the life of one stream.
func (l *load) talk() error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	st, err := l.stub.StreamingCall(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	l.t.streams.Add(1)
	defer l.t.streams.Add(-1)
	for req := request(); !l.over(); l.t.messages.Add(1) {
		if err := st.Send(req); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := st.Recv(); err != nil { // also after Send's EOF: the reason is here
			return err
		}
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
