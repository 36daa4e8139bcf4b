package header

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Kind says what becomes of a stream whose header block has a problem.
type Kind uint8

// Kinds of Problem.
const (
	Malformed Kind = iota + 1 // breaks RFC 9113: RST_STREAM(PROTOCOL_ERROR)
	Reply                     // server: answer with HTTPStatus and Code, no handler runs
	Broken                    // client: the RPC ends with Code
)

func (k Kind) String() string {
	switch k {
	case Malformed:
		return "malformed"
	case Reply:
		return "reply"
	case Broken:
		return "broken"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Problem is what is wrong with an inbound header block. All parsers of this
// package return their errors as *Problem.
type Problem struct {
	Kind       Kind
	HTTPStatus int        // Reply: the :status to answer with. Broken: the one received, if any
	Code       codes.Code // the RPC's status where it gets one
	Reason     string     // lower case, safe to log and to send
	Clause     string     // where the rule stands, "RFC 9113 8.3"
}

func (p *Problem) Error() string {
	if p.Clause == "" {
		return p.Reason
	}
	return p.Reason + " (" + p.Clause + ")"
}

// GRPCStatus is the status the RPC ends with; status.FromError finds it.
func (p *Problem) GRPCStatus() *status.Status { return status.New(p.Code, p.Error()) }

// Trailer is the trailers-only block that answers a Reply. The subtype is the
// request's, so that the answer's content-type mirrors it.
func (p *Problem) Trailer(subtype string) *Trailer {
	return &Trailer{
		Code: p.Code, Message: p.Reason,
		Only: true, HTTPStatus: p.HTTPStatus, ContentSubtype: subtype,
	}
}

// StreamError is the frame-level error of a Malformed block.
func (p *Problem) StreamError(id frame.StreamID) *frame.StreamError {
	return &frame.StreamError{
		StreamID: id, Code: frame.ProtocolError, Blame: frame.Remote,
		Reason: p.Reason, Clause: p.Clause,
	}
}

func malformed(clause, reason string) *Problem {
	return &Problem{Kind: Malformed, Code: codes.Internal, Reason: reason, Clause: clause}
}

func reply(httpStatus int, code codes.Code, reason string) *Problem {
	return &Problem{Kind: Reply, HTTPStatus: httpStatus, Code: code, Reason: reason}
}

func broken(code codes.Code, reason string) *Problem {
	return &Problem{Kind: Broken, Code: code, Reason: reason}
}
