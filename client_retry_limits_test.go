package callboard_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// A request that is larger than its buffer is sent once.
func TestRetryBufferLimit(t *testing.T) {
	big := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 300<<10)}}
	for name, tt := range map[string]struct {
		opts []grpc.CallOption
		want int
	}{
		"beyond the default":  {nil, 1},
		"within one's own":    {[]grpc.CallOption{grpc.MaxRetryRPCBufferSize(400 << 10)}, 2},
		"within nothing":      {[]grpc.CallOption{grpc.MaxRetryRPCBufferSize(0)}, 1},
		"beyond what it says": {[]grpc.CallOption{grpc.MaxRetryRPCBufferSize(300 << 10)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := failing(1, codes.Unavailable)
			a.duplex = func(n int, st testpb.TestService_FullDuplexCallServer) error {
				if _, err := st.Recv(); err != nil || n == 0 {
					return status.Error(codes.Unavailable, "not yet")
				}
				return nil
			}
			c := a.client(t, policy(retryFast))
			_, _ = c.UnaryCall(bounded(t), big, tt.opts...)
			if got := len(a.attempts()); got != tt.want {
				t.Errorf("unary: %d attempts, want %d", got, tt.want)
			}
			st, err := c.FullDuplexCall(bounded(t), tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			_ = st.Send(&testpb.StreamingOutputCallRequest{Payload: big.Payload})
			_, _ = st.Recv()
			if got := len(a.attempts()); got != tt.want {
				t.Errorf("stream: %d attempts, want %d", got, tt.want)
			}
		})
	}
}

// A pick that fails is the policy's business, too.
func TestFailingPicksAreRetried(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	_ = lis.Close() // nobody listens
	for kind, call := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			rec := &recorder{}
			cc, err := newSystem(t).NewClient(addr, policy(retryFast), callboard.WithStatsHandler(rec), callboard.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			var ends int
			err = call(bounded(t), testpb.NewTestServiceClient(cc), grpc.OnFinish(func(error) { ends++ }))
			if _, ok := callboard.WhyOf(err); status.Code(err) != codes.Unavailable || !ok {
				t.Errorf("%v, want Unavailable with its reason", err)
			}
			begun := 0
			for _, ev := range rec.take() {
				if strings.HasPrefix(ev, "*stats.Begin") {
					begun++
				}
			}
			if begun != 4 || ends != 1 {
				t.Errorf("%d attempts with %d ends, want 4 with 1", begun, ends)
			}
		})
	}
}

// An error of the client's own is no attempt's.
func TestEncodingErrorEndsAnRPCWithPolicy(t *testing.T) {
	for name, js := range map[string]string{"retry": retryFast, "hedging": `"hedgingPolicy":{"maxAttempts":3,"hedgingDelay":"0.001s"}`} {
		t.Run(name, func(t *testing.T) {
			a := failing(0, codes.OK)
			a.duplex = func(_ int, st testpb.TestService_FullDuplexCallServer) error {
				<-st.Context().Done()
				return st.Context().Err()
			}
			c := a.client(t, policy(js))
			st, err := c.FullDuplexCall(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := st.SendMsg(errors.New("no message")); status.Code(err) != codes.Internal {
				t.Errorf("send: %v", err)
			}
			if _, err := st.Recv(); status.Code(err) != codes.Internal {
				t.Errorf("recv: %v", err)
			}
			<-st.Context().Done()
		})
	}
}
