package streamfsm

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// ResetStatus is the status of an RPC whose server sent RST_STREAM, as the
// gRPC over HTTP/2 protocol maps it. It is the one table of its kind.
func ResetStatus(code frame.ErrCode) codes.Code {
	switch code {
	case frame.RefusedStream:
		return codes.Unavailable
	case frame.Cancel:
		return codes.Canceled
	case frame.EnhanceYourCalm:
		return codes.ResourceExhausted
	case frame.InadequateSecurity:
		return codes.PermissionDenied
	case frame.NoError, frame.ProtocolError, frame.InternalError, frame.FlowControlError,
		frame.SettingsTimeout, frame.StreamClosed, frame.FrameSizeError,
		frame.CompressionError, frame.ConnectError, frame.HTTP11Required:
		return codes.Internal
	}
	return codes.Unknown
}

// resetOutcome is the end of an RPC by the peer's RST_STREAM.
//
// A client that gives up at its deadline sends CANCEL, and a server that gives
// up at the same deadline may do so first: then the deadline is the cause, not
// somebody's cancellation. To a server every reset is the client giving up,
// whatever the code.
func (m *Machine) resetOutcome(code frame.ErrCode, now time.Time) Outcome {
	o := Outcome{Reset: true, ResetCode: code}
	c := ResetStatus(code)
	if m.cfg.Role == Server {
		c = codes.Canceled
	}
	if c == codes.Canceled && !m.deadline.IsZero() && !now.Before(m.deadline) {
		o.Status = status.New(codes.DeadlineExceeded, "deadline exceeded")
		return o
	}
	switch {
	case m.cfg.Role == Server:
		o.Status = status.New(c, "the client reset the stream with "+code.String())
	case m.foreign != nil:
		o.Status = m.foreign.GRPCStatus()
	default:
		o.Status = status.New(c, "the server reset the stream with "+code.String())
	}
	o.Unprocessed = code == frame.RefusedStream && !m.answered()
	return o
}

// failureStatus is the status of an RPC whose stream we reset.
//
//	our reason                          RST_STREAM           status
//	the peer broke HTTP/2               PROTOCOL_ERROR ...   INTERNAL
//	a limit of ours, passed             ENHANCE_YOUR_CALM    RESOURCE_EXHAUSTED
//	we will not serve it                REFUSED_STREAM       UNAVAILABLE
//	we gave up on it (stalled)          CANCEL               UNAVAILABLE
//	the application gave up on it       CANCEL               CANCELLED, or as Cancel says
//	its messages cannot be read         CANCEL               as faultStatus says
//	the response was complete           NO_ERROR             the response's
func failureStatus(err *frame.StreamError) *status.Status {
	c := codes.Internal
	switch err.Code {
	case frame.EnhanceYourCalm:
		c = codes.ResourceExhausted
	case frame.RefusedStream:
		c = codes.Unavailable
	case frame.Cancel:
		c = codes.Unavailable
		if err.Blame == frame.User {
			c = codes.Canceled
		}
	case frame.NoError, frame.ProtocolError, frame.InternalError, frame.FlowControlError,
		frame.SettingsTimeout, frame.StreamClosed, frame.FrameSizeError, frame.CompressionError,
		frame.ConnectError, frame.InadequateSecurity, frame.HTTP11Required:
	}
	return status.New(c, err.Error())
}
