package testpeer_test

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers a unary call with its own payload, and a streaming call with as
// many bytes as each parameter asks for.
type echo struct {
	pb.UnimplementedTestServiceServer
}

func (echo) UnaryCall(_ context.Context, q *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s := q.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	return &pb.SimpleResponse{Payload: q.GetPayload()}, nil
}

func (echo) StreamingOutputCall(q *pb.StreamingOutputCallRequest, st pb.TestService_StreamingOutputCallServer) error {
	for _, rp := range q.GetResponseParameters() {
		m := &pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, rp.GetSize())}}
		if err := st.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// grpcServer runs grpc-go's server and returns its address.
func grpcServer(t *testing.T, opts ...grpc.ServerOption) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(s, echo{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(lis) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return lis.Addr().String()
}

// grpcClient is grpc-go's client of a scripted server.
func grpcClient(t *testing.T, addr string, opts ...grpc.DialOption) pb.TestServiceClient {
	t.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	cc, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return pb.NewTestServiceClient(cc)
}

// dialOnce is grpcClient with a hang-up that need not wait for the test's end.
func dialOnce(t *testing.T, addr string) (pb.TestServiceClient, func()) {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return pb.NewTestServiceClient(cc), func() { _ = cc.Close() }
}

// soon is a context that no hanging call outlives.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}
