package cases

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Metadata that the server echoes: the first in its header, the second in its
// trailer.
const (
	echoInitialKey   = "x-grpc-test-echo-initial"
	echoTrailingKey  = "x-grpc-test-echo-trailing-bin"
	echoInitialWant  = "test_initial_metadata_value"
	echoTrailingWant = "\xab\xab\xab"
)

func customMetadata(ctx context.Context, e *Env) error {
	ctx = metadata.AppendToOutgoingContext(ctx,
		echoInitialKey, echoInitialWant, echoTrailingKey, echoTrailingWant)

	var header, trailer metadata.MD
	err := large(ctx, e.stub(), largeRequest, largeResponse, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return err
	}
	if err := checkEcho(header, trailer); err != nil {
		return fmt.Errorf("UnaryCall: %w", err)
	}

	st, err := e.stub().FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	if err := st.Send(outputRequest(largeRequest, largeResponse)); err != nil {
		return sendErr(st, err)
	}
	if err := st.CloseSend(); err != nil {
		return fmt.Errorf("half-close: %w", err)
	}
	header, err = st.Header()
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if err := recvPayload(st, largeResponse); err != nil {
		return err
	}
	if err := recvEnd(st); err != nil {
		return err
	}
	if err := checkEcho(header, st.Trailer()); err != nil {
		return fmt.Errorf("FullDuplexCall: %w", err)
	}
	return nil
}

func checkEcho(header, trailer metadata.MD) error {
	if got := header.Get(echoInitialKey); !slices.Equal(got, []string{echoInitialWant}) {
		return fmt.Errorf("header %s is %q, want %q", echoInitialKey, got, echoInitialWant)
	}
	if got := trailer.Get(echoTrailingKey); !slices.Equal(got, []string{echoTrailingWant}) {
		return fmt.Errorf("trailer %s is %q, want %q", echoTrailingKey, got, echoTrailingWant)
	}
	return nil
}
