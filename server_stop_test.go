package callboard_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// held is a handler that runs until released, or until its context ends if it
// minds.
type held struct {
	started  chan struct{}
	release  chan struct{}
	minds    bool
	returned atomic.Int32
}

func newHeld() *held {
	return &held{started: make(chan struct{}, 10), release: make(chan struct{})}
}

func (h *held) unary(ctx context.Context, in *text) (*text, error) {
	defer h.returned.Add(1)
	h.started <- struct{}{}
	if h.minds {
		select {
		case <-h.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	<-h.release
	return in, nil
}

// inFlight starts one RPC and waits until its handler runs.
func (h *held) inFlight(t *testing.T, cc *grpc.ClientConn) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)) }()
	<-h.started
	return result
}

func TestGracefulStopWaitsForHandlers(t *testing.T) {
	h := newHeld()
	srv := newSystem(t).NewServer()
	cc := dialTheirs(t, playbook{unary: h.unary}.start(t, srv))
	result := h.inFlight(t, cc)
	stopped := make(chan struct{})
	go func() {
		srv.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
		t.Error("GracefulStop did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(h.release)
	if err := <-result; err != nil {
		t.Errorf("the RPC in flight: %v", err)
	}
	<-stopped
	if h.returned.Load() != 1 {
		t.Error("the handler has not returned")
	}
}

func TestStopCutsOff(t *testing.T) {
	for _, wait := range []bool{false, true} {
		h := newHeld()
		h.minds = true
		srv := newSystem(t).NewServer(callboard.WaitForHandlers(wait))
		cc := dialTheirs(t, playbook{unary: h.unary}.start(t, srv))
		result := h.inFlight(t, cc)
		srv.Stop()
		if wait && h.returned.Load() != 1 {
			t.Error("Stop did not wait for the handler")
		}
		if err := <-result; status.Code(err) != codes.Unavailable {
			t.Errorf("the RPC in flight: %v, want Unavailable", err)
		}
	}
}

func TestStopDoesNotWaitForDeafHandlers(t *testing.T) {
	h := newHeld()
	sys := newSystem(t)
	srv := sys.NewServer()
	cc := dialTheirs(t, playbook{unary: h.unary}.start(t, srv))
	result := h.inFlight(t, cc)
	srv.Stop()
	if h.returned.Load() != 0 {
		t.Error("Stop waited")
	}
	if err := <-result; status.Code(err) != codes.Unavailable {
		t.Errorf("the RPC in flight: %v, want Unavailable", err)
	}
	close(h.release)
}

func TestShutdownIsBounded(t *testing.T) {
	h := newHeld()
	h.minds = true
	srv := newSystem(t).NewServer()
	cc := dialTheirs(t, playbook{unary: h.unary}.start(t, srv))
	result := h.inFlight(t, cc)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-result; status.Code(err) != codes.Unavailable {
		t.Errorf("the RPC in flight: %v, want Unavailable", err)
	}
}

func TestShutdownWithoutTraffic(t *testing.T) {
	sys := newSystem(t)
	never := sys.NewServer()
	never.Stop()
	never.GracefulStop()
	srv := sys.NewServer()
	cc := dialTheirs(t, playbook{unary: echo}.start(t, srv))
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
		t.Fatal(err)
	}
	if err := srv.Shutdown(soon(t)); err != nil {
		t.Error(err)
	}
	srv.GracefulStop()
	srv.Stop()
}

func TestClientThatCancelsCancelsTheHandler(t *testing.T) {
	ended := make(chan error, 1)
	h := newHeld()
	cc := playbook{unary: func(ctx context.Context, _ *text) (*text, error) {
		h.started <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}.ours(t)
	ctx, cancel := context.WithCancel(soon(t))
	result := make(chan error, 1)
	go func() { result <- cc.Invoke(ctx, unaryPath, wrapperspb.String(""), new(text)) }()
	<-h.started
	cancel()
	if err := <-result; status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context: %v", err)
	}
}
