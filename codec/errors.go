package codec

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/header"
)

// oversize is a message that exceeds a limit.
type oversize struct {
	what        string
	size, limit int // size 0: unknown, but above limit
}

func (e *oversize) Error() string {
	if e.size == 0 {
		return fmt.Sprintf("%s is larger than the maximum of %d octets", e.what, e.limit)
	}
	return fmt.Sprintf("%s of %d octets is larger than the maximum of %d", e.what, e.size, e.limit)
}

// failure is a status error that keeps its cause.
type failure struct {
	code  codes.Code
	text  string
	cause error
}

func (e *failure) Error() string { return e.GRPCStatus().String() }

// GRPCStatus is what the status package looks for.
func (e *failure) GRPCStatus() *status.Status { return status.New(e.code, e.text) }

func (e *failure) Unwrap() error { return e.cause }

// sendFailed makes an RPC's error of a message that could not be encoded.
func sendFailed(doing string, err error) error {
	if big, ok := errors.AsType[*oversize](err); ok {
		return &failure{codes.ResourceExhausted, "send: " + big.Error(), err}
	}
	return &failure{codes.Internal, doing + ": " + err.Error(), err}
}

// receiveFailed makes an RPC's error of a message that could not be decoded.
// The text of err may repeat what the peer sent.
func receiveFailed(doing string, err error) error {
	if big, ok := errors.AsType[*oversize](err); ok {
		return &failure{codes.ResourceExhausted, "receive: " + big.Error(), err}
	}
	return &failure{codes.Internal, doing + ": " + header.Escape(err.Error()), err}
}
