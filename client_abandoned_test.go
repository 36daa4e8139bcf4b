package callboard_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard"
)

// An application may let go of a stream by cancelling its context, whatever has
// become of the stream by then: it ends, once, and gives back what it held.
func TestStreamsLetGoOfByTheirContext(t *testing.T) {
	for name, tt := range map[string]struct {
		js  string
		use func(t *testing.T, st testpb.TestService_FullDuplexCallClient)
	}{
		"over, with messages unread": {"", func(t *testing.T, st testpb.TestService_FullDuplexCallClient) {
			for range 3 {
				if err := st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := st.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := st.Recv(); err != nil {
				t.Fatal(err)
			}
		}},
		"over, with nothing unread": {"", func(t *testing.T, st testpb.TestService_FullDuplexCallClient) {
			if err := st.CloseSend(); err != nil {
				t.Fatal(err)
			}
		}},
		"failed, under a policy": {retryFast, func(t *testing.T, st testpb.TestService_FullDuplexCallClient) {
			if err := st.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: &testpb.EchoStatus{Code: 3}}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Bool
			a := &attempted{unary: func(context.Context, int) error { return nil }, duplex: func(_ int, st testpb.TestService_FullDuplexCallServer) error {
				defer served.Store(true)
				return scripted{}.FullDuplexCall(st)
			}}
			var begun, ended, finished atomic.Int32
			opts := []callboard.DialOption{callboard.WithStatsHandler(counting{&begun, &ended})}
			if tt.js != "" {
				opts = append(opts, policy(tt.js))
			}
			c := a.client(t, opts...)
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			st, err := c.FullDuplexCall(ctx, grpc.OnFinish(func(error) { finished.Add(1) }))
			if err != nil {
				t.Fatal(err)
			}
			tt.use(t, st)
			eventually(t, served.Load)
			if _, err := c.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil { // its response is behind the stream's end
				t.Fatal(err)
			}
			cancel()
			eventually(t, func() bool { return ended.Load() == 2 && finished.Load() == 1 })
			if _, err := st.Recv(); err == nil {
				t.Error("a message after the end")
			}
			if begun.Load() != 2 || ended.Load() != 2 || finished.Load() != 1 {
				t.Errorf("%d begun, %d ended, OnFinish called %d times", begun.Load(), ended.Load(), finished.Load())
			}
		})
	}
}
