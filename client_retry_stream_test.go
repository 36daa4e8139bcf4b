package callboard_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

func echoAll(st testpb.TestService_FullDuplexCallServer) error {
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := st.Send(&testpb.StreamingOutputCallResponse{Payload: in.Payload}); err != nil {
			return err
		}
	}
}

// echoes sends n messages of size octets while it receives as many, and wants
// each of them once and in order.
func echoes(t *testing.T, st testpb.TestService_FullDuplexCallClient, n, size int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			body := make([]byte, size)
			body[0] = byte(i)
			if err := st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: body}}); err != nil {
				sent <- err
				return
			}
		}
		sent <- st.CloseSend()
	}()
	for i := range n {
		m, err := st.Recv()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if got := m.Payload.Body; len(got) != size || got[0] != byte(i) {
			t.Fatalf("message %d: %d octets, number %d", i, len(got), got[0])
		}
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
	if err := <-sent; err != nil {
		t.Errorf("send: %v", err)
	}
}

// What was sent is sent again to the next attempt while the application goes on
// in both directions: little messages that all fit, and many that do not.
func TestReplayWithBothDirectionsActive(t *testing.T) {
	for name, tt := range map[string]struct{ n, size, read int }{
		"all kept":              {100, 100, 5},
		"more than is kept":     {200, 10_000, 3},
		"more than windows let": {40, 100_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := &attempted{duplex: func(n int, st testpb.TestService_FullDuplexCallServer) error {
				if n < 2 {
					for range tt.read {
						if _, err := st.Recv(); err != nil {
							return err
						}
					}
					return status.Error(codes.Unavailable, "not yet")
				}
				return echoAll(st)
			}}
			c := a.client(t, policy(retryFast))
			st, err := c.FullDuplexCall(bounded(t), grpc.MaxRetryRPCBufferSize(1<<20))
			if err != nil {
				t.Fatal(err)
			}
			echoes(t, st, tt.n, tt.size)
			if diff := cmp.Diff([]string{"", "1", "2"}, a.attempts()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An application that only sends has its RPC retried, too.
func TestRetryWithoutAReceiver(t *testing.T) {
	again := make(chan struct{})
	a := &attempted{duplex: func(n int, st testpb.TestService_FullDuplexCallServer) error {
		if n == 0 {
			return status.Error(codes.Unavailable, "not yet")
		}
		close(again)
		return echoAll(st)
	}}
	st, err := a.client(t, policy(retryFast)).FullDuplexCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	<-again
	echoes(t, st, 3, 10)
}

// transparency notes whether attempts are transparent.
type transparency struct {
	recorder
	begun []bool
}

func (r *transparency) HandleRPC(ctx context.Context, ev stats.RPCStats) {
	if b, ok := ev.(*stats.Begin); ok {
		r.mu.Lock()
		r.begun = append(r.begun, b.IsTransparentRetryAttempt)
		r.mu.Unlock()
	}
	r.recorder.HandleRPC(ctx, ev)
}

// A stream that the server refuses unseen is sent again at once, whatever the
// policy, and stats handlers are told that it is transparent: the same as of
// grpc-go's client.
func TestTransparentRetriesAreSeenByStatsHandlers(t *testing.T) {
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			var seen [2][]string
			for i, theirs := range []bool{true, false} {
				l := testpeer.Listen(t)
				var attempts []string
				done := l.Script(func(p *testpeer.Peer) {
					p.Handshake()
					q := p.ExpectRequest()
					attempts = append(attempts, q.Fields.Get("grpc-previous-rpc-attempts"))
					p.ExpectEnd(q.ID)
					p.RST(q.ID, http2.ErrCodeRefusedStream)
					q = p.ExpectRequest()
					attempts = append(attempts, q.Fields.Get("grpc-previous-rpc-attempts"))
					p.HeadersEnd(q.ID, append(testpeer.Response(), testpeer.Status(codes.FailedPrecondition, "seen")...)...)
				})
				rec := &transparency{}
				cc, err := dialEither(t, l.Addr(), []grpc.DialOption{grpc.WithStatsHandler(rec)}, []callboard.DialOption{callboard.WithStatsHandler(rec)})(theirs)
				if err != nil {
					t.Fatal(err)
				}
				if err := call(bounded(t), testpb.NewTestServiceClient(cc)); status.Code(err) != codes.FailedPrecondition {
					t.Errorf("%v, want FailedPrecondition", err)
				}
				_ = cc.Close()
				<-done
				if diff := cmp.Diff([]bool{false, true}, rec.begun); diff != "" {
					t.Errorf("transparent: %s", diff)
				}
				if diff := cmp.Diff([]string{"", ""}, attempts); diff != "" {
					t.Errorf("previous attempts: %s", diff)
				}
				seen[i] = rec.take()
				slices.Sort(seen[i])
			}
			if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
				t.Errorf("grpc-go (-) and callboard (+) differ:\n%s", diff)
			}
		})
	}
}

// Stats handlers see attempts as those of grpc-go's client do.
func TestStatsEventsOfRetriesAreGrpcGos(t *testing.T) {
	for name, tt := range map[string]struct {
		fails int
		code  codes.Code
	}{
		"success at last":        {2, codes.Unavailable},
		"failure of all":         {9, codes.Unavailable},
		"failure without retry":  {1, codes.Internal},
		"success straight ahead": {0, codes.OK},
	} {
		for kind, call := range bothKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				js := `{"methodConfig":[{"name":[{}],` + retryFast + `}]}`
				var seen [2][]string
				for i, theirs := range []bool{true, false} {
					rec := &recorder{}
					a := failing(tt.fails, tt.code)
					cc, err := dialEither(
						t, a.serve(t),
						[]grpc.DialOption{grpc.WithStatsHandler(rec), grpc.WithDefaultServiceConfig(js)},
						[]callboard.DialOption{callboard.WithStatsHandler(rec), callboard.WithDefaultServiceConfig(js)},
					)(theirs)
					if err != nil {
						t.Fatal(err)
					}
					_ = call(bounded(t), testpb.NewTestServiceClient(cc))
					_ = cc.Close()
					seen[i] = rec.take()
					if !theirs {
						wantOrder(t, lastAttempt(seen[i]))
					}
					slices.Sort(seen[i])
				}
				if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
					t.Errorf("grpc-go (-) and callboard (+) differ:\n%s", diff)
				}
			})
		}
	}
}

func lastAttempt(events []string) []string {
	from := 0
	for i, ev := range events {
		if len(ev) > 6 && ev[:6] == "TagRPC" {
			from = i
		}
	}
	return events[from:]
}

// A server that dies over and over is no reason for an RPC with a policy to
// hang, or for its connection to be used by two attempts at once.
func TestRetriesAcrossLostConnections(t *testing.T) {
	l := testpeer.Listen(t)
	var n atomic.Int32
	var dones []<-chan struct{}
	for range 3 {
		dones = append(dones, l.Script(func(p *testpeer.Peer) {
			p.Handshake()
			q := p.ExpectRequest()
			if n.Add(1) < 3 {
				p.Close()
				return
			}
			p.HeadersEnd(q.ID, append(testpeer.Response(), testpeer.Status(codes.OutOfRange, "here")...)...)
		}))
	}
	cc, err := newSystem(t).NewClient(l.Addr(), policy(retryFast), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = testpb.NewTestServiceClient(cc).UnaryCall(bounded(t), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("%v, want OutOfRange", err)
	}
	_ = cc.Close()
	for _, d := range dones {
		<-d
	}
}
