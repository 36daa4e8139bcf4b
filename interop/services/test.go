package services

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Test implements grpc.testing.TestService. UnimplementedCall stays with the
// embedded type: that is its purpose.
type Test struct {
	pb.UnimplementedTestServiceServer

	rt       Runtime
	id       string // unique per instance
	hostname string
}

// NewTest returns a TestService with an id of its own.
func NewTest(rt Runtime) *Test {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "unknown"
	}
	return &Test{rt: rt, id: rand.Text(), hostname: hostname}
}

// EmptyCall answers the empty message.
func (*Test) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) {
	return &pb.Empty{}, nil
}

// UnaryCall answers as the request says.
func (t *Test) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if err := checkCompressed(ctx, 0, in.GetExpectCompressed()); err != nil {
		return nil, err
	}
	header, trailer := echoes(ctx)
	if err := grpc.SetHeader(ctx, header); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, trailer); err != nil {
		return nil, err
	}
	if err := echoStatus(in.GetResponseStatus()); err != nil {
		return nil, err
	}
	p, err := payload(in.GetResponseType(), in.GetResponseSize())
	if err != nil {
		return nil, err
	}
	if c := in.GetResponseCompressed(); c != nil {
		if err := t.compress(ctx, c.GetValue()); err != nil {
			return nil, err
		}
	}
	out := &pb.SimpleResponse{Payload: p, Hostname: t.hostname}
	if in.GetFillServerId() {
		out.ServerId = t.id
	}
	if in.GetFillUsername() {
		out.Username = username(ctx)
	}
	return out, nil
}

// CacheableUnaryCall answers the time, which differs from call to call unless a
// cache answers.
func (t *Test) CacheableUnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if err := grpc.SetHeader(ctx, metadata.Pairs("cache-control", "max-age=60, public")); err != nil {
		return nil, err
	}
	now := strconv.FormatInt(time.Now().UnixNano(), 10)
	return &pb.SimpleResponse{Payload: &pb.Payload{Body: []byte(now)}}, nil
}

// StreamingInputCall sums up the payloads it gets.
func (*Test) StreamingInputCall(st grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	var sum int
	for i := 0; ; i++ {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return st.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		if err := checkCompressed(st.Context(), i, in.GetExpectCompressed()); err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

// StreamingOutputCall sends one response per parameter.
func (t *Test) StreamingOutputCall(in *pb.StreamingOutputCallRequest, st grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	if err := t.begin(st); err != nil {
		return err
	}
	return t.newOutput(st).answer(in)
}

// FullDuplexCall sends one response per parameter of each request, as requests
// come.
func (t *Test) FullDuplexCall(st grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	if err := t.begin(st); err != nil {
		return err
	}
	out := t.newOutput(st)
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.answer(in); err != nil {
			return err
		}
	}
}

// HalfDuplexCall does the same once the client is done sending.
func (t *Test) HalfDuplexCall(st grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	if err := t.begin(st); err != nil {
		return err
	}
	var requests []*pb.StreamingOutputCallRequest
	for {
		in, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		requests = append(requests, in)
	}
	out := t.newOutput(st)
	for _, in := range requests {
		if err := out.answer(in); err != nil {
			return err
		}
	}
	return nil
}

// begin echoes metadata on a stream.
func (*Test) begin(st grpc.ServerStream) error {
	header, trailer := echoes(st.Context())
	st.SetTrailer(trailer)
	return st.SetHeader(header)
}

// echoStatus returns the status the client asks for, nil for OK.
func echoStatus(want *pb.EchoStatus) error {
	return status.Error(codes.Code(want.GetCode()), want.GetMessage())
}
