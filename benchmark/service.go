package main

import (
	"context"
	"errors"
	"io"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

const (
	smallBody = 10
	largeBody = 1 << 20
)

// body is what every message of the benchmark is cut from. Nobody writes to it.
var body = make([]byte, largeBody)

func payload(n int) *pb.Payload { return &pb.Payload{Body: body[:n]} }

// service answers with as many bytes as the request asks for.
type service struct {
	pb.UnimplementedBenchmarkServiceServer
}

func (service) UnaryCall(_ context.Context, q *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return &pb.SimpleResponse{Payload: payload(int(q.GetResponseSize()))}, nil
}

func (service) StreamingCall(st pb.BenchmarkService_StreamingCallServer) error {
	for {
		q, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := st.Send(&pb.SimpleResponse{Payload: payload(int(q.GetResponseSize()))}); err != nil {
			return err
		}
	}
}
