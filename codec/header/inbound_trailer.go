package header

import (
	"strconv"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// okStatus is the status of every call that went well; a Status is immutable.
var okStatus = status.New(codes.OK, "")

// ParseTrailer reads the block that ends a response behind its messages: the
// status (never nil unless there is an error) and the trailing metadata. The
// error is a *Problem, Malformed or Broken.
//
// A missing or unreadable grpc-status is Unknown. Numbers beyond the known
// codes are kept. Details are taken from grpc-status-details-bin when they can
// be read and carry the same code; otherwise grpc-status and grpc-message
// stand alone.
func ParseTrailer(fields []frame.Field) (*status.Status, metadata.MD, error) {
	if err := CheckTrailer(fields); err != nil {
		return nil, nil, err
	}
	var p trailerParser
	p.read(fields)
	md, err := FieldsMetadata(fields)
	if err != nil {
		return nil, nil, err
	}
	if p.codes == 0 {
		reason := "response ended without grpc-status"
		if p.message != "" {
			reason += ", grpc-message " + Escape(p.message)
		}
		return status.New(codes.Unknown, reason), md, nil
	}
	return p.status(), md, nil
}

// ParseTrailersOnly reads a response that is a single block (first HEADERS with
// END_STREAM). It differs from ParseTrailer in that pseudo-fields and
// content-type are checked as in ParseResponse, and that without a grpc-status
// the code follows from the HTTP status.
func ParseTrailersOnly(fields []frame.Field) (*status.Status, metadata.MD, error) {
	var in InboundResponse
	if err := ParseResponse(fields, &in); err != nil {
		return nil, nil, err
	}
	if in.Informational {
		return nil, nil, malformed("RFC 9113 8.1", "informational response ends the stream")
	}
	if !in.HasGRPCStatus {
		p := broken(StatusFromHTTP(in.HTTPStatus), "response ended without grpc-status, HTTP status "+strconv.Itoa(in.HTTPStatus))
		p.HTTPStatus = in.HTTPStatus
		return nil, nil, p
	}
	var p trailerParser
	p.read(fields)
	md, err := FieldsMetadata(fields)
	if err != nil {
		return nil, nil, err
	}
	return p.status(), md, nil
}

// trailerParser is what the status is made of.
type trailerParser struct {
	codes   int // how many grpc-status fields there were
	code    codes.Code
	bad     string // a grpc-status that is no code, or contradicts an earlier one
	isBad   bool
	message string
	details string
	blobs   int // how many grpc-status-details-bin fields there were
}

func (p *trailerParser) read(fields []frame.Field) {
	for i := range fields {
		f := &fields[i]
		switch f.Name {
		case nameGRPCStatus:
			p.codes++
			code, ok := parseCode(f.Value)
			if !ok || p.codes > 1 && code != p.code {
				p.isBad, p.bad = true, f.Value
			}
			p.code = code
		case nameGRPCMessage:
			p.message = f.Value
		case nameDetails:
			p.details = f.Value
			p.blobs++
		}
	}
}

func parseCode(s string) (codes.Code, bool) {
	if s == "" || len(s) > 10 {
		return codes.Unknown, false
	}
	n, err := strconv.ParseUint(s, 10, 31) // google.rpc.Status holds an int32
	if err != nil {
		return codes.Unknown, false
	}
	return codes.Code(n), true
}

func (p *trailerParser) status() *status.Status {
	switch {
	case p.isBad:
		return status.New(codes.Unknown, "response ended with grpc-status "+Escape(p.bad)+", grpc-message "+Escape(p.message))
	case p.code == codes.OK && p.message == "":
		return okStatus
	case p.code == codes.OK || p.details == "" || p.blobs > 1:
		return status.New(p.code, DecodeMessage(p.message))
	}
	st := p.detailed()
	if st == nil {
		return status.New(p.code, DecodeMessage(p.message))
	}
	return status.FromProto(st)
}

// detailed reads grpc-status-details-bin; nil when it is unreadable or
// contradicts grpc-status.
func (p *trailerParser) detailed() *spb.Status {
	raw, err := DecodeBin(p.details)
	if err != nil {
		return nil
	}
	st := new(spb.Status)
	if err := proto.Unmarshal([]byte(raw), st); err != nil {
		return nil
	}
	if codes.Code(st.GetCode()) != p.code {
		return nil
	}
	if st.GetMessage() == "" {
		st.Message = DecodeMessage(p.message)
	}
	return st
}
