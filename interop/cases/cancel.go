package cases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

func cancelAfterBegin(ctx context.Context, e *Env) error {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "key1", "value1", "key2", "value2"))
	defer cancel()
	st, err := e.stub().StreamingInputCall(ctx)
	if err != nil {
		return fmt.Errorf("StreamingInputCall: %w", err)
	}
	cancel()
	_, err = st.CloseAndRecv()
	return wantCode(err, codes.Canceled)
}

func cancelAfterFirstResponse(ctx context.Context, e *Env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := e.stub().FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	if err := st.Send(outputRequest(27182, 31415)); err != nil {
		return sendErr(st, err)
	}
	if err := recvPayload(st, 31415); err != nil {
		return err
	}
	cancel()
	_, err = st.Recv()
	return wantCode(err, codes.Canceled)
}

// timeoutOnSleepingServer leaves a stream open past its deadline. A first call
// makes sure that the deadline is not spent on connecting.
func timeoutOnSleepingServer(ctx context.Context, e *Env) error {
	if err := emptyUnary(ctx, e); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	st, err := e.stub().FullDuplexCall(ctx)
	if err != nil {
		return wantCode(err, codes.DeadlineExceeded)
	}
	if err := st.Send(outputRequest(27182)); err != nil && !errors.Is(err, io.EOF) {
		return wantCode(err, codes.DeadlineExceeded)
	}
	_, err = st.Recv()
	return wantCode(err, codes.DeadlineExceeded)
}
