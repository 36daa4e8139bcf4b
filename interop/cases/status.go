package cases

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// wantCode wants err to be a status with code.
func wantCode(err error, code codes.Code) error {
	if got := status.Code(err); got != code {
		return fmt.Errorf("status is %v (%w), want %v", got, orOK(err), code)
	}
	return nil
}

func orOK(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

func wantStatus(err error, code codes.Code, message string) error {
	if err := wantCode(err, code); err != nil {
		return err
	}
	if got := status.Convert(err).Message(); got != message {
		return fmt.Errorf("status message is %q, want %q", got, message)
	}
	return nil
}

func statusCodeAndMessage(ctx context.Context, e *Env) error {
	const message = "test status message"
	echo := &pb.EchoStatus{Code: int32(codes.Unknown), Message: message}

	_, err := e.stub().UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: echo})
	if err := wantStatus(err, codes.Unknown, message); err != nil {
		return fmt.Errorf("UnaryCall: %w", err)
	}

	st, err := e.stub().FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	if err := st.Send(&pb.StreamingOutputCallRequest{ResponseStatus: echo}); err != nil {
		return sendErr(st, err)
	}
	// The server may be done already: io.EOF is as good as a half-close.
	if err := st.CloseSend(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("half-close: %w", err)
	}
	_, err = st.Recv()
	if err := wantStatus(err, codes.Unknown, message); err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	return nil
}

func specialStatusMessage(ctx context.Context, e *Env) error {
	const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
	_, err := e.stub().UnaryCall(ctx, &pb.SimpleRequest{
		ResponseStatus: &pb.EchoStatus{Code: int32(codes.Unknown), Message: message},
	})
	return wantStatus(err, codes.Unknown, message)
}

func unimplementedMethod(ctx context.Context, e *Env) error {
	_, err := e.stub().UnimplementedCall(ctx, &pb.Empty{})
	if err := wantCode(err, codes.Unimplemented); err != nil {
		return err
	}
	return unknownPath(ctx, e, "/grpc.testing.TestService/NoSuchMethod")
}

func unimplementedService(ctx context.Context, e *Env) error {
	_, err := pb.NewUnimplementedServiceClient(e.Conn).UnimplementedCall(ctx, &pb.Empty{})
	if err := wantCode(err, codes.Unimplemented); err != nil {
		return err
	}
	return unknownPath(ctx, e, "/grpc.testing.NoSuchService/NoSuchMethod")
}

// unknownPath calls what no server registers, where the official names may be
// registered with a handler that answers UNIMPLEMENTED.
func unknownPath(ctx context.Context, e *Env, path string) error {
	err := e.Conn.Invoke(ctx, path, &pb.Empty{}, &pb.Empty{})
	if err := wantCode(err, codes.Unimplemented); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
