package services

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// Benchmark implements grpc.testing.BenchmarkService.
type Benchmark struct {
	pb.UnimplementedBenchmarkServiceServer
}

func answer(in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	p, err := payload(in.GetResponseType(), in.GetResponseSize())
	if err != nil {
		return nil, err
	}
	return &pb.SimpleResponse{Payload: p}, nil
}

// UnaryCall answers one request.
func (Benchmark) UnaryCall(_ context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return answer(in)
}

// StreamingCall answers each request in turn.
func (Benchmark) StreamingCall(st grpc.BidiStreamingServer[pb.SimpleRequest, pb.SimpleResponse]) error {
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out, err := answer(in)
		if err != nil {
			return err
		}
		if err := st.Send(out); err != nil {
			return err
		}
	}
}

// StreamingFromClient answers the last request once the client is done.
func (Benchmark) StreamingFromClient(st grpc.ClientStreamingServer[pb.SimpleRequest, pb.SimpleResponse]) error {
	last := &pb.SimpleRequest{}
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		last = in
	}
	out, err := answer(last)
	if err != nil {
		return err
	}
	return st.SendAndClose(out)
}

// StreamingFromServer answers one request again and again until the client
// cancels.
func (Benchmark) StreamingFromServer(in *pb.SimpleRequest, st grpc.ServerStreamingServer[pb.SimpleResponse]) error {
	out, err := answer(in)
	if err != nil {
		return err
	}
	for {
		if err := st.Send(out); err != nil {
			return err
		}
	}
}

// StreamingBothWays answers the first request again and again while it drains
// the others, until the client is done.
func (Benchmark) StreamingBothWays(st grpc.BidiStreamingServer[pb.SimpleRequest, pb.SimpleResponse]) error {
	in, err := st.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	out, err := answer(in)
	if err != nil {
		return err
	}
	drained := make(chan error, 1)
	go func() { drained <- drain(st) }()
	for {
		select {
		case err := <-drained:
			return err
		default:
		}
		if err := st.Send(out); err != nil {
			return err
		}
	}
}

// drain receives until the client half-closes. It ends with the RPC at the
// latest, because Recv does.
func drain(st grpc.BidiStreamingServer[pb.SimpleRequest, pb.SimpleResponse]) error {
	for {
		_, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
