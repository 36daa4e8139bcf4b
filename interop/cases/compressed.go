package cases

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard/interop/observe"
)

func boolValue(v bool) *pb.BoolValue { return &pb.BoolValue{Value: v} }

func clientCompressedUnary(ctx context.Context, e *Env) error {
	call := func(expect bool, opts ...grpc.CallOption) error {
		reply, err := e.stub().UnaryCall(ctx, &pb.SimpleRequest{
			ExpectCompressed: boolValue(expect),
			ResponseSize:     largeResponse,
			Payload:          payload(largeRequest),
		}, opts...)
		if err != nil {
			return err
		}
		return checkPayload(reply.GetPayload(), largeResponse)
	}
	// The probe lies: a server that looks must refuse it.
	if err := wantCode(call(true), codes.InvalidArgument); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := call(true, grpc.UseCompressor(gzip.Name)); err != nil {
		return fmt.Errorf("compressed: %w", err)
	}
	if err := call(false); err != nil {
		return fmt.Errorf("uncompressed: %w", err)
	}
	return nil
}

func serverCompressedUnary(ctx context.Context, e *Env) error {
	for _, compressed := range []bool{true, false} {
		ctx, seen := observe.Watch(ctx)
		reply, err := e.stub().UnaryCall(ctx, &pb.SimpleRequest{
			ResponseCompressed: boolValue(compressed),
			ResponseSize:       largeResponse,
			Payload:            payload(largeRequest),
		})
		if err != nil {
			return fmt.Errorf("response_compressed %v: UnaryCall: %w", compressed, err)
		}
		if err := checkPayload(reply.GetPayload(), largeResponse); err != nil {
			return err
		}
		if err := wantCompressed(seen, 0, compressed); err != nil {
			return err
		}
	}
	return nil
}

func wantCompressed(seen *observe.Messages, i int, want bool) error {
	got, ok := seen.Compressed(i)
	if !ok {
		return errors.New("compression is not observed: the channel lacks observe.Handler")
	}
	if got != want {
		return fmt.Errorf("response %d: compressed is %v, want %v", i, got, want)
	}
	return nil
}

// clientCompressedStreaming sends a compressed and an uncompressed message on
// one stream. A stream has one compressor, so the plain message is prepared on
// a stream that has none.
func clientCompressedStreaming(ctx context.Context, e *Env) error {
	plain, err := e.stub().StreamingInputCall(ctx)
	if err != nil {
		return fmt.Errorf("probe: StreamingInputCall: %w", err)
	}
	second, err := e.Prepare(plain, &pb.StreamingInputCallRequest{
		ExpectCompressed: boolValue(false),
		Payload:          payload(45904),
	})
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}

	first := &pb.StreamingInputCallRequest{ExpectCompressed: boolValue(true), Payload: payload(27182)}
	if err := plain.Send(first); err != nil {
		return fmt.Errorf("probe: %w", sendErr(plain, err))
	}
	_, err = plain.CloseAndRecv()
	if err := wantCode(err, codes.InvalidArgument); err != nil {
		return fmt.Errorf("probe: %w", err)
	}

	st, err := e.stub().StreamingInputCall(ctx, grpc.UseCompressor(gzip.Name))
	if err != nil {
		return fmt.Errorf("StreamingInputCall: %w", err)
	}
	if err := st.Send(first); err != nil {
		return sendErr(st, err)
	}
	if err := st.SendMsg(second); err != nil {
		return sendErr(st, err)
	}
	reply, err := st.CloseAndRecv()
	if err != nil {
		return fmt.Errorf("StreamingInputCall: %w", err)
	}
	return checkAggregate(reply, 27182+45904)
}

func serverCompressedStreaming(ctx context.Context, e *Env) error {
	want := []struct {
		compressed bool
		size       int
	}{{true, 31415}, {false, 92653}}
	req := &pb.StreamingOutputCallRequest{}
	for _, w := range want {
		req.ResponseParameters = append(req.ResponseParameters, &pb.ResponseParameters{
			Compressed: boolValue(w.compressed),
			Size:       int32(w.size),
		})
	}
	ctx, seen := observe.Watch(ctx)
	st, err := e.stub().StreamingOutputCall(ctx, req)
	if err != nil {
		return fmt.Errorf("StreamingOutputCall: %w", err)
	}
	for i, w := range want {
		if err := recvPayload(st, w.size); err != nil {
			return fmt.Errorf("response %d: %w", i, err)
		}
		if err := wantCompressed(seen, i, w.compressed); err != nil {
			return err
		}
	}
	return recvEnd(st)
}
