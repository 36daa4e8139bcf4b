package demo

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// service answers grpc.testing.BenchmarkService's unary calls and ping-pong
// streams.
type service struct {
	pb.UnimplementedBenchmarkServiceServer
}

// UnaryCall implements BenchmarkServiceServer.
func (*service) UnaryCall(_ context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return answer(in), nil
}

// StreamingCall implements BenchmarkServiceServer.
func (*service) StreamingCall(st grpc.BidiStreamingServer[pb.SimpleRequest, pb.SimpleResponse]) error {
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := st.Send(answer(in)); err != nil {
			return err
		}
	}
}

// payloadSize is the size of both requests and responses, octets.
const payloadSize = 10

func request() *pb.SimpleRequest {
	return &pb.SimpleRequest{ResponseSize: payloadSize, Payload: &pb.Payload{Body: make([]byte, payloadSize)}}
}

func answer(in *pb.SimpleRequest) *pb.SimpleResponse {
	n := max(0, min(in.GetResponseSize(), payloadSize))
	return &pb.SimpleResponse{Payload: &pb.Payload{Body: make([]byte, n)}}
}
