package callboard_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// Shutdown keeps to its context, also where Stop would wait for handlers.
func TestShutdownDoesNotWaitForHandlersAsStopDoes(t *testing.T) {
	for _, wait := range []bool{false, true} {
		h := newHeld()
		srv := newSystem(t).NewServer(callboard.WaitForHandlers(wait))
		result := h.inFlight(t, dialTheirs(t, playbook{unary: h.unary}.start(t, srv)))
		const limit = 50 * time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		began := time.Now()
		err := srv.Shutdown(ctx)
		took := time.Since(began)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait %v: got %v", wait, err)
		}
		if took < limit-5*time.Millisecond || took > 5*time.Second {
			t.Errorf("wait %v: it took %v, want about %v", wait, took, limit)
		}
		if h.returned.Load() != 0 {
			t.Error("the handler has returned")
		}
		if err := <-result; status.Code(err) != codes.Unavailable {
			t.Errorf("wait %v: the RPC ended with %v", wait, err)
		}
		close(h.release) // and what is left ends behind it
	}
}
