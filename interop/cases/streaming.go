package cases

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// sendErr turns the io.EOF of a Send, which only says that the stream is over,
// into the status that ended it.
func sendErr(st grpc.ClientStream, err error) error {
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("send: %w", err)
	}
	if err := st.RecvMsg(new(pb.Empty)); err != nil {
		return fmt.Errorf("send: stream ended: %w", err)
	}
	return errors.New("send: io.EOF on a live stream")
}

func clientStreaming(ctx context.Context, e *Env) error {
	st, err := e.stub().StreamingInputCall(ctx)
	if err != nil {
		return fmt.Errorf("StreamingInputCall: %w", err)
	}
	sum := 0
	for _, n := range requestSizes {
		if err := st.Send(&pb.StreamingInputCallRequest{Payload: payload(n)}); err != nil {
			return sendErr(st, err)
		}
		sum += n
	}
	reply, err := st.CloseAndRecv()
	if err != nil {
		return fmt.Errorf("StreamingInputCall: %w", err)
	}
	return checkAggregate(reply, sum)
}

func checkAggregate(reply *pb.StreamingInputCallResponse, want int) error {
	if got := reply.GetAggregatedPayloadSize(); int(got) != want {
		return fmt.Errorf("aggregated_payload_size is %d, want %d", got, want)
	}
	return nil
}

func serverStreaming(ctx context.Context, e *Env) error {
	st, err := e.stub().StreamingOutputCall(ctx, outputRequest(0, responseSizes...))
	if err != nil {
		return fmt.Errorf("StreamingOutputCall: %w", err)
	}
	for i, n := range responseSizes {
		if err := recvPayload(st, n); err != nil {
			return fmt.Errorf("response %d: %w", i, err)
		}
	}
	return recvEnd(st)
}

func pingPong(ctx context.Context, e *Env) error {
	st, err := e.stub().FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	for i := range requestSizes {
		if err := st.Send(outputRequest(requestSizes[i], responseSizes[i])); err != nil {
			return sendErr(st, err)
		}
		if err := recvPayload(st, responseSizes[i]); err != nil {
			return fmt.Errorf("response %d: %w", i, err)
		}
	}
	if err := st.CloseSend(); err != nil {
		return fmt.Errorf("half-close: %w", err)
	}
	return recvEnd(st)
}

func emptyStream(ctx context.Context, e *Env) error {
	st, err := e.stub().FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	if err := st.CloseSend(); err != nil {
		return fmt.Errorf("half-close: %w", err)
	}
	return recvEnd(st)
}

// outputStream is the receiving side of StreamingOutputCall and FullDuplexCall.
type outputStream interface {
	Recv() (*pb.StreamingOutputCallResponse, error)
}

func recvPayload(st outputStream, n int) error {
	m, err := st.Recv()
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return checkPayload(m.GetPayload(), n)
}

// recvEnd wants the end of the stream with status OK.
func recvEnd(st outputStream) error {
	switch _, err := st.Recv(); {
	case err == nil:
		return errors.New("one response too many")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return fmt.Errorf("end of stream: %w", err)
	}
}
