package header

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// InboundRequest is what a server reads out of a request's header block. It is
// meant to be used again for the next request: User keeps its room.
type InboundRequest struct {
	Method         string // the path, "/pkg.Service/Method"; begins with a slash, the rest is as the client sent it
	Authority      string // :authority, or host where that is missing
	Scheme         string
	ContentType    string
	ContentSubtype string // the codec's name in lower case; empty: proto
	Encoding       string // the client's compressor; empty: none
	AcceptEncoding string // compressors the client reads, all fields joined
	UserAgent      string
	Timeout        time.Duration
	HasTimeout     bool
	User           []frame.Field // metadata still encoded; the slice is r's own
	ContentLength  int64         // -1: not announced
	WireLen        int           // of the HEADERS frame, in octets; set by who has it
}

// Reset empties r for another request.
func (r *InboundRequest) Reset() {
	clear(r.User)
	*r = InboundRequest{User: r.User[:0], ContentLength: -1}
}

// Metadata is what the handler's incoming context holds, with the same keys as
// grpc-go: the user's pairs, :authority, content-type, user-agent and
// grpc-accept-encoding. Each call builds a new map.
func (r *InboundRequest) Metadata() metadata.MD {
	var b mdBuilder
	b.grow(len(r.User) + 4)
	for _, f := range [...]frame.Field{
		{Name: nameAuthority, Value: r.Authority},
		{Name: nameContentType, Value: r.ContentType},
		{Name: nameUserAgent, Value: r.UserAgent},
		{Name: nameAcceptEncoding, Value: r.AcceptEncoding},
	} {
		if f.Value != "" {
			b.add(f.Name, f.Value)
		}
	}
	for i := range r.User {
		// A value that cannot be decoded does not get past ParseRequest.
		_ = b.addField(&r.User[i], 0)
	}
	return b.md
}

// ParseRequest reads a request's header block into dst, of which nothing is
// kept. The error is a *Problem, Malformed or Reply; with a Reply dst holds
// what could be read, so that the answer can mirror the content-type.
func ParseRequest(fields []frame.Field, dst *InboundRequest) error {
	dst.Reset()
	p := requestParser{in: dst}
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

// requestParser is ParseRequest's state. What makes the block malformed ends
// it at once; what is merely not gRPC is kept until all fields are known to be
// well-formed, because a malformed block gets no answer.
type requestParser struct {
	in       *InboundRequest
	seen     pseudo
	regular  bool // a field that is not a pseudo-field has come
	method   string
	host     string
	hosts    int
	isGRPC   bool
	badField *Problem // the first Reply about a single field
}

// pseudo is the set of pseudo-fields seen.
type pseudo uint8

const (
	seenMethod pseudo = 1 << iota
	seenScheme
	seenPath
	seenAuthority
	seenStatus
)

func (p *requestParser) field(f *frame.Field) *Problem {
	if f.Name != "" && f.Name[0] == ':' {
		return p.pseudo(f)
	}
	p.regular = true
	in := p.in
	switch f.Name {
	case nameContentType:
		p.contentType(f.Value)
	case nameTE:
		if f.Value != valueTrailers {
			return malformed("RFC 9113 8.2.2", "te is "+Escape(f.Value)+", may only be trailers")
		}
		return nil
	case nameUserAgent:
		if in.UserAgent == "" {
			in.UserAgent = f.Value
		}
	case nameTimeout:
		p.timeout(f.Value)
	case nameEncoding:
		p.single(f.Name, &in.Encoding, f.Value)
	case nameAcceptEncoding:
		if in.AcceptEncoding == "" {
			in.AcceptEncoding = f.Value
		} else if f.Value != "" {
			in.AcceptEncoding += "," + f.Value
		}
	case nameHost:
		p.hosts++
		p.host = f.Value
	case nameMessageType, nameGRPCStatus, nameGRPCMessage:
		// The protocol's, but nothing a server would read.
	case nameContentLength:
		if bad := p.contentLength(f.Value); bad != nil {
			return bad
		}
		in.User = append(in.User, *f)
	default:
		return p.user(f)
	}
	if !validValue(f.Value) {
		return badValue(f.Name)
	}
	return nil
}

func (p *requestParser) pseudo(f *frame.Field) *Problem {
	if p.regular {
		return badPseudo(f.Name, "follows a regular field")
	}
	var bit pseudo
	var to *string
	switch f.Name {
	case nameMethod:
		bit, to = seenMethod, &p.method
	case nameScheme:
		bit, to = seenScheme, &p.in.Scheme
	case namePath:
		bit, to = seenPath, &p.in.Method
	case nameAuthority:
		bit, to = seenAuthority, &p.in.Authority
	default:
		return badPseudo(f.Name, "is not a request's")
	}
	if p.seen&bit != 0 {
		return badPseudo(f.Name, "is repeated")
	}
	if f.Value == "" && bit != seenAuthority {
		return badPseudo(f.Name, "is empty")
	}
	if !validValue(f.Value) {
		return badValue(f.Name)
	}
	p.seen |= bit
	*to = f.Value
	return nil
}

func (p *requestParser) user(f *frame.Field) *Problem {
	if bad := checkField(f); bad != nil {
		return bad
	}
	if isBinary(f.Name) && !validBin(f.Value) {
		p.note(badBin(f))
		return nil
	}
	p.in.User = append(p.in.User, *f)
	return nil
}

func (p *requestParser) contentType(v string) {
	if p.in.ContentType != "" {
		p.single(nameContentType, &p.in.ContentType, v)
		return
	}
	p.in.ContentType = v
	p.in.ContentSubtype, p.isGRPC = Subtype(v)
}

func (p *requestParser) timeout(v string) {
	d, err := ParseTimeout(v)
	switch {
	case err != nil:
		p.note("grpc-timeout " + Escape(v) + " is malformed")
	case p.in.HasTimeout && d != p.in.Timeout:
		p.note("grpc-timeout is repeated with different values")
	default:
		p.in.Timeout, p.in.HasTimeout = d, true
	}
}

// contentLength follows RFC 9110 8.6: repeated equal values are one.
func (p *requestParser) contentLength(v string) *Problem {
	const most = 18 // digits that fit an int64
	if v == "" || len(v) > most {
		return badLength(v)
	}
	var n int64
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return badLength(v)
		}
		n = n*10 + int64(v[i]-'0')
	}
	if had := p.in.ContentLength; had >= 0 && had != n {
		return badLength(v)
	}
	p.in.ContentLength = n
	return nil
}

func badLength(v string) *Problem {
	return malformed("RFC 9113 8.1.1", "content-length "+Escape(v)+" is not one number")
}

// single sets a field that may come only once; an equal repetition is let
// pass.
func (p *requestParser) single(name string, to *string, v string) {
	if *to != "" && *to != v {
		p.note(name + " is repeated with different values")
		return
	}
	*to = v
}

func (p *requestParser) note(reason string) {
	if p.badField == nil {
		p.badField = reply(httpBadRequest, codes.Internal, reason)
	}
}

// verdict looks at the block as a whole, what HTTP says first.
func (p *requestParser) verdict() *Problem {
	in := p.in
	if missing := p.missing(); missing != "" {
		return badPseudo(missing, "is missing")
	}
	// A41: several host fields are an error, host stands in for :authority,
	// and is dropped where :authority is there.
	if p.hosts > 1 {
		return reply(httpBadRequest, codes.Internal, "host is repeated")
	}
	if in.Authority == "" {
		in.Authority = p.host
	}
	switch {
	case !p.isGRPC:
		return reply(httpUnsupportedMediaType, codes.InvalidArgument,
			"content-type "+Escape(in.ContentType)+" is not application/grpc")
	case p.badField != nil:
		return p.badField
	case in.Authority == "":
		return reply(httpBadRequest, codes.Internal, "neither :authority nor host is there")
	case p.method != methodPost:
		return reply(httpMethodNotAllowed, codes.Internal,
			":method is "+Escape(p.method)+", should be POST")
	case in.Method[0] != '/':
		return reply(httpOK, codes.Unimplemented,
			"malformed method name "+Escape(in.Method)+", should begin with a slash")
	}
	return nil
}

// missing names the first obligatory pseudo-field that did not come. CONNECT
// has neither scheme nor path (RFC 9113 8.5), and no place in gRPC: it is
// malformed like any other request without them.
func (p *requestParser) missing() string {
	switch {
	case p.seen&seenMethod == 0:
		return nameMethod
	case p.seen&seenScheme == 0:
		return nameScheme
	case p.seen&seenPath == 0:
		return namePath
	}
	return ""
}
