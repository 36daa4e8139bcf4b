package header

import (
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// InboundResponse is what a client reads out of a response's first header
// block. It is meant to be used again: Fields keeps its room.
type InboundResponse struct {
	HTTPStatus     int
	ContentType    string
	ContentSubtype string        // the codec's name in lower case; empty: proto, or whatever the request had
	Encoding       string        // the server's compressor; empty: none
	AcceptEncoding string        // compressors the server reads, where it says so
	Fields         []frame.Field // metadata still encoded, content-type included; the slice is r's own
	Informational  bool          // a 1xx block: another header block follows. With END_STREAM it is malformed
	WireLen        int           // of the HEADERS frame, in octets; set by who has it
	HasGRPCStatus  bool          // grpc-status is there: with END_STREAM the block is trailers-only, else it is ignored
}

// Reset empties r for another response.
func (r *InboundResponse) Reset() {
	clear(r.Fields)
	*r = InboundResponse{Fields: r.Fields[:0]}
}

// Metadata is the header metadata the application sees. Each call builds a new
// map; without fields it is nil.
func (r *InboundResponse) Metadata() metadata.MD {
	md, _ := FieldsMetadata(r.Fields) // ParseResponse has seen that all of it can be decoded
	return md
}

// ParseResponse reads the first header block of a response into dst, of which
// nothing is kept. The error is a *Problem: Malformed, or Broken when the block
// does not begin a gRPC response.
//
// A block that ends the stream is trailers-only: after ParseResponse it is read
// with ParseTrailersOnly, or by that alone.
func ParseResponse(fields []frame.Field, dst *InboundResponse) error {
	dst.Reset()
	p := responseParser{in: dst}
	for i := range fields {
		if bad := p.field(&fields[i]); bad != nil {
			return bad
		}
	}
	if bad := p.verdict(); bad != nil {
		return bad
	}
	return nil
}

type responseParser struct {
	in       *InboundResponse
	seen     pseudo
	regular  bool
	isGRPC   bool
	badField *Problem
}

func (p *responseParser) field(f *frame.Field) *Problem {
	if f.Name != "" && f.Name[0] == ':' {
		return p.pseudo(f)
	}
	p.regular = true
	in := p.in
	switch f.Name {
	case nameContentType:
		if in.ContentType == "" {
			in.ContentType = f.Value
			in.ContentSubtype, p.isGRPC = Subtype(f.Value)
			in.Fields = append(in.Fields, *f)
		} else if in.ContentType != f.Value {
			p.note("content-type is repeated with different values")
		}
	case nameEncoding:
		if in.Encoding != "" && in.Encoding != f.Value {
			p.note("grpc-encoding is repeated with different values")
		}
		in.Encoding = f.Value
	case nameAcceptEncoding:
		in.AcceptEncoding = f.Value
		in.Fields = append(in.Fields, *f)
	case nameGRPCStatus:
		in.HasGRPCStatus = true
	case nameGRPCMessage, nameUserAgent, nameTE, nameTimeout, nameMessageType:
		// Read with the trailers, or without meaning in a response.
	default:
		return p.user(f)
	}
	if !validValue(f.Value) {
		return badValue(f.Name)
	}
	return nil
}

func (p *responseParser) pseudo(f *frame.Field) *Problem {
	switch {
	case p.regular:
		return badPseudo(f.Name, "follows a regular field")
	case f.Name != nameStatus:
		return badPseudo(f.Name, "is not a response's")
	case p.seen&seenStatus != 0:
		return badPseudo(f.Name, "is repeated")
	}
	p.seen |= seenStatus
	n, ok := parseHTTPStatus(f.Value)
	if !ok || n == 101 { // 101 does not exist in HTTP/2 (RFC 9113 8.6)
		return badPseudo(f.Name, "is "+Escape(f.Value))
	}
	p.in.HTTPStatus = n
	p.in.Informational = n < 200
	return nil
}

func (p *responseParser) user(f *frame.Field) *Problem {
	if bad := checkField(f); bad != nil {
		return bad
	}
	if isBinary(f.Name) && !validBin(f.Value) {
		if f.Name != nameDetails { // details that cannot be read are passed over, the status counts
			p.note(badBin(f))
		}
		return nil
	}
	p.in.Fields = append(p.in.Fields, *f)
	return nil
}

func (p *responseParser) note(reason string) {
	if p.badField == nil {
		p.badField = broken(codes.Internal, reason)
	}
}

func (p *responseParser) verdict() *Problem {
	in := p.in
	switch {
	case p.seen&seenStatus == 0:
		return badPseudo(nameStatus, "is missing")
	case in.Informational:
		return nil
	case !p.isGRPC && (in.ContentType != "" || !in.HasGRPCStatus):
		return notGRPC(in.HTTPStatus, in.ContentType)
	}
	return p.badField
}

// notGRPC describes a response that somebody else than a gRPC server sent.
func notGRPC(httpStatus int, contentType string) *Problem {
	reason := "response is not gRPC: HTTP status " + strconv.Itoa(httpStatus)
	if contentType == "" {
		reason += " without content-type"
	} else {
		reason += ", content-type " + Escape(contentType)
	}
	p := broken(StatusFromHTTP(httpStatus), reason)
	p.HTTPStatus = httpStatus
	return p
}
