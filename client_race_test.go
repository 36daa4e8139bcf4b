package callboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// moody is a server that does anything with an RPC, except for losing count: a
// stream that ends well has told its client how many messages came.
type moody struct {
	testpb.UnimplementedTestServiceServer
	live atomic.Int32
}

func (m *moody) FullDuplexCall(st testpb.TestService_FullDuplexCallServer) error {
	m.live.Add(1)
	defer m.live.Add(-1)
	for range rand.IntN(4) {
		if _, err := st.Recv(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	switch rand.IntN(8) {
	case 0, 1, 2:
		return status.Error(codes.Unavailable, "moody")
	case 3:
		st.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", fmt.Sprint(rand.IntN(3)-1)))
		return status.Error(codes.Unavailable, "moody")
	case 4:
		return status.Error(codes.Internal, "moody")
	case 5:
		_ = st.SendHeader(nil)
		return status.Error(codes.Unavailable, "moody")
	case 6:
		<-st.Context().Done()
		return st.Context().Err()
	default:
		return m.echo(st)
	}
}

func (m *moody) echo(st testpb.TestService_FullDuplexCallServer) error {
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

// Whatever a server does and whenever the application gives up, every RPC ends
// once, every attempt is let go, and nothing is held any more.
func TestRacesEnd(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{}
	srv := grpc.NewServer(grpc.MaxConcurrentStreams(10))
	testpb.RegisterTestServiceServer(srv, m)
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	sys, err := NewSystem(WithMemoryBudget(1 << 20))
	if err != nil {
		t.Fatal(err)
	}
	for name, js := range map[string]string{
		"no policy":       `"waitForReady":true`,
		"retry":           `"retryPolicy":{"maxAttempts":5,"initialBackoff":"0.001s","maxBackoff":"0.002s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}`,
		"hedging":         `"hedgingPolicy":{"maxAttempts":4,"hedgingDelay":"0.002s","nonFatalStatusCodes":["UNAVAILABLE"]}`,
		"hedging at once": `"hedgingPolicy":{"maxAttempts":3,"nonFatalStatusCodes":["UNAVAILABLE"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			cc, err := sys.NewClient(lis.Addr().String(), WithTransportCredentials(insecure.NewCredentials()),
				WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],`+js+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			var begun, ended atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 40 {
						begun.Add(1)
						moodyCall(cc, &ended)
					}
				})
			}
			wg.Wait()
			for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); {
				if m.live.Load() == 0 && sys.memory.queued.Used() == 0 && ended.Load() == begun.Load() {
					break
				}
				<-time.After(time.Millisecond)
			}
			if m.live.Load() != 0 || sys.memory.queued.Used() != 0 || ended.Load() != begun.Load() {
				t.Errorf("%d streams left at the server, %d octets held, %d of %d RPCs ended", m.live.Load(), sys.memory.queued.Used(), ended.Load(), begun.Load())
			}
			if err := cc.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := sys.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func moodyCall(cc *ClientConn, ended *atomic.Int32) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.IntN(40))*time.Millisecond)
	defer cancel()
	st, err := testpb.NewTestServiceClient(cc).FullDuplexCall(
		ctx, grpc.OnFinish(func(error) { ended.Add(1) }), grpc.MaxRetryRPCBufferSize(rand.IntN(100_000)),
	)
	if err != nil {
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range rand.IntN(30) {
			if st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, rand.IntN(10_000))}}) != nil {
				return
			}
		}
		if rand.IntN(4) > 0 {
			_ = st.CloseSend()
		}
	}()
	if rand.IntN(4) == 0 {
		_, _ = st.Header()
	}
	for {
		if _, err := st.Recv(); err != nil {
			break
		}
	}
	<-sent
}
