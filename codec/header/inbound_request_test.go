package header

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// usual is the block of an ordinary call.
func usual() []frame.Field {
	return fields(
		":method", "POST", ":scheme", "http", ":path", "/grpc.testing.TestService/UnaryCall",
		":authority", "localhost:8080", "content-type", "application/grpc", "user-agent", "grpc-go/1.85.0",
		"te", "trailers", "grpc-timeout", "10S", "grpc-accept-encoding", "gzip",
	)
}

func TestParseRequestReadsAnOrdinaryCall(t *testing.T) {
	fs := append(usual(), fields("x", "1", "y-bin", "aGk=,aGkh", "x", "2", "grpc-trace-bin", "AA", "grpc-status", "7")...)
	var in InboundRequest
	if err := ParseRequest(fs, &in); err != nil {
		t.Fatal(err)
	}
	want := InboundRequest{
		Method: "/grpc.testing.TestService/UnaryCall", Authority: "localhost:8080", Scheme: "http",
		ContentType: "application/grpc", AcceptEncoding: "gzip", UserAgent: "grpc-go/1.85.0",
		Timeout: 10 * time.Second, HasTimeout: true, ContentLength: -1,
		User: fields("x", "1", "y-bin", "aGk=,aGkh", "x", "2", "grpc-trace-bin", "AA"),
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
	md := metadata.MD{
		":authority": {"localhost:8080"}, "content-type": {"application/grpc"}, "user-agent": {"grpc-go/1.85.0"},
		"grpc-accept-encoding": {"gzip"}, "x": {"1", "2"}, "y-bin": {"hi", "hi!"}, "grpc-trace-bin": {"\x00"},
	}
	if diff := cmp.Diff(md, in.Metadata()); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataValuesDoNotShareRoom(t *testing.T) {
	var in InboundRequest
	if err := ParseRequest(append(usual(), fields("a", "1", "b", "2", "c-bin", "aA,aGk,aGkh")...), &in); err != nil {
		t.Fatal(err)
	}
	md := in.Metadata()
	for k := range md {
		md[k] = append(md[k], "more")
	}
	for k, want := range map[string][]string{"a": {"1", "more"}, "b": {"2", "more"}, "c-bin": {"h", "hi", "hi!", "more"}} {
		if diff := cmp.Diff(want, md[k]); diff != "" {
			t.Errorf("%s: %s", k, diff)
		}
	}
}

func TestParseRequestKeepsNothingOfTheBlockOrTheCallBefore(t *testing.T) {
	var in InboundRequest
	first := append(usual(), fields("a", "1", "b", "2", "content-length", "7")...)
	if err := ParseRequest(first, &in); err != nil {
		t.Fatal(err)
	}
	clear(first)
	if in.User[0].Value != "1" {
		t.Error("the parsed request aliases the block")
	}
	second := without(without(usual(), "grpc-timeout"), "user-agent")
	if err := ParseRequest(second, &in); err != nil {
		t.Fatal(err)
	}
	if len(in.User) != 0 || in.HasTimeout || in.UserAgent != "" || in.ContentLength != -1 {
		t.Errorf("left over: %+v", in)
	}
}

func TestMalformedRequests(t *testing.T) {
	for name, fs := range map[string][]frame.Field{
		"nothing":                   nil,
		"no :method":                without(usual(), ":method"),
		"no :scheme":                without(usual(), ":scheme"),
		"no :path":                  without(usual(), ":path"),
		"empty :path":               with(usual(), ":path", ""),
		"empty :method":             with(usual(), ":method", ""),
		"late pseudo-field":         append(without(usual(), ":path"), fields(":path", "/a/b")...),
		"repeated :path":            append(fields(":path", "/a/b"), usual()...),
		"repeated :authority":       append(fields(":authority", "x"), usual()...),
		"unknown pseudo-field":      append(fields(":protocol", "x"), usual()...),
		"response pseudo-field":     append(fields(":status", "200"), usual()...),
		"bare colon":                append(fields(":", "x"), usual()...),
		"empty name":                append(usual(), fields("", "x")...),
		"upper case":                append(usual(), fields("X-Up", "x")...),
		"upper case of a known":     append(usual(), fields("TE", "trailers")...),
		"space in name":             append(usual(), fields("x y", "x")...),
		"line break in value":       append(usual(), fields("x", "a\r\nb: c")...),
		"NUL in value":              append(usual(), fields("x", "a\x00")...),
		"line break in known":       with(usual(), "user-agent", "a\nb"),
		"line break in :path":       with(usual(), ":path", "/a\r\nb"),
		"te":                        with(usual(), "te", "gzip"),
		"connection":                append(usual(), fields("connection", "close")...),
		"keep-alive":                append(usual(), fields("keep-alive", "1")...),
		"proxy-connection":          append(usual(), fields("proxy-connection", "x")...),
		"transfer-encoding":         append(usual(), fields("transfer-encoding", "chunked")...),
		"upgrade":                   append(usual(), fields("upgrade", "h2c")...),
		"content-length words":      append(usual(), fields("content-length", "many")...),
		"content-length empty":      append(usual(), fields("content-length", "")...),
		"content-length negative":   append(usual(), fields("content-length", "-1")...),
		"content-length huge":       append(usual(), fields("content-length", strings.Repeat("9", 19))...),
		"content-length unlike":     append(usual(), fields("content-length", "1", "content-length", "2")...),
		"malformed before not-gRPC": append(with(usual(), "content-type", "text/html"), fields("X", "x")...),
		"CONNECT":                   without(without(with(usual(), ":method", "CONNECT"), ":path"), ":scheme"),
	} {
		err := ParseRequest(fs, new(InboundRequest))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if p := problem(t, err); p.Kind != Malformed || p.StreamError(1).Code != frame.ProtocolError {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRequestsThatGetAReply(t *testing.T) {
	for name, c := range map[string]struct {
		fs   []frame.Field
		http int
		code codes.Code
	}{
		"no content-type":        {without(usual(), "content-type"), 415, codes.InvalidArgument},
		"another content-type":   {with(usual(), "content-type", "image/jpeg"), 415, codes.InvalidArgument},
		"grpc-web":               {with(usual(), "content-type", "application/grpc-web"), 415, codes.InvalidArgument},
		"GET":                    {with(usual(), ":method", "GET"), 405, codes.Internal},
		"no leading slash":       {with(usual(), ":path", "a/b"), 200, codes.Unimplemented},
		"asterisk":               {with(usual(), ":path", "*"), 200, codes.Unimplemented},
		"malformed timeout":      {with(usual(), "grpc-timeout", "10"), 400, codes.Internal},
		"two timeouts":           {append(usual(), fields("grpc-timeout", "11S")...), 400, codes.Internal},
		"two content-types":      {append(usual(), fields("content-type", "application/grpc+json")...), 400, codes.Internal},
		"two encodings":          {append(usual(), fields("grpc-encoding", "a", "grpc-encoding", "b")...), 400, codes.Internal},
		"bad -bin":               {append(usual(), fields("x-bin", "!!")...), 400, codes.Internal},
		"bad -bin in a list":     {append(usual(), fields("x-bin", "aGk,a")...), 400, codes.Internal},
		"no authority":           {without(usual(), ":authority"), 400, codes.Internal},
		"two hosts":              {append(usual(), fields("host", "a", "host", "a")...), 400, codes.Internal},
		"GET that is not gRPC":   {without(with(usual(), ":method", "GET"), "content-type"), 415, codes.InvalidArgument},
		"bad octets in the text": {with(usual(), "content-type", "\xff\xfe\""), 415, codes.InvalidArgument},
	} {
		err := ParseRequest(c.fs, new(InboundRequest))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if p := problem(t, err); p.Kind != Reply || p.HTTPStatus != c.http || p.Code != c.code {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRequestsOneMightRefuseButMustNot(t *testing.T) {
	for name, fs := range map[string][]frame.Field{
		"no te":                   without(usual(), "te"),
		"no user-agent":           without(usual(), "user-agent"),
		"equal repetitions":       append(usual(), fields("content-type", "application/grpc", "grpc-timeout", "10S", "user-agent", "b")...),
		"host stands in":          append(without(usual(), ":authority"), fields("host", "a")...),
		"host beside :authority":  append(usual(), fields("host", "other")...),
		"octets beyond ASCII":     append(usual(), fields("x", "\xe2\x98\xba")...),
		"white space at the ends": append(usual(), fields("x", " a\t")...),
		"one-part path":           with(usual(), ":path", "/a"),
		"equal content-lengths":   append(usual(), fields("content-length", "5", "content-length", "5")...),
		"empty -bin":              append(usual(), fields("x-bin", "", "y-bin", ",")...),
	} {
		if err := ParseRequest(fs, new(InboundRequest)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostStandsInForAuthorityAndIsNeverMetadata(t *testing.T) {
	var in InboundRequest
	if err := ParseRequest(append(without(usual(), ":authority"), fields("host", "h")...), &in); err != nil {
		t.Fatal(err)
	}
	md := in.Metadata()
	if in.Authority != "h" || md["host"] != nil || md[":authority"][0] != "h" {
		t.Errorf("authority %q, metadata %v", in.Authority, md)
	}
}

func TestReplyMirrorsTheContentType(t *testing.T) {
	var in InboundRequest
	fs := with(with(usual(), "content-type", "application/grpc+json"), ":path", "x")
	p := problem(t, ParseRequest(fs, &in))
	got := p.Trailer(in.ContentSubtype).AppendFields(nil)
	want := fields(":status", "200", "content-type", "application/grpc+json", "grpc-status", "12", "grpc-message", EncodeMessage(p.Reason))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(pack(usual()))
	f.Add(pack(append(usual(), fields("x-bin", "aGk=,aA", "x", "1", "X", "y", "content-length", "3")...)))
	f.Add(pack(without(usual(), ":path")))
	f.Add(pack(with(usual(), "grpc-timeout", "999999999H")))
	f.Add(pack(fields(":method", "CONNECT", ":authority", "a", "", "\r\n")))
	f.Add([]byte{255, 255, 0})
	var in InboundRequest
	f.Fuzz(func(t *testing.T, data []byte) {
		err := ParseRequest(unpack(data), &in)
		if err != nil {
			if p := problem(t, err); p.Kind == Broken {
				t.Fatalf("kind %v", p.Kind)
			}
			return
		}
		if in.Method[0] != '/' || in.Authority == "" || in.ContentLength < -1 || in.Timeout < 0 {
			t.Fatalf("accepted %+v", in)
		}
		md := in.Metadata()
		for _, u := range in.User {
			if isReserved(u.Name) || len(md[u.Name]) == 0 {
				t.Fatalf("metadata field %q", u.Name)
			}
		}
		again := Request{Method: in.Method, Authority: in.Authority, Scheme: in.Scheme, ContentSubtype: in.ContentSubtype, Metadata: md}
		if isClean(in.ContentSubtype) {
			if err := ParseRequest(again.AppendFields(nil), new(InboundRequest)); err != nil {
				t.Fatalf("what was read cannot be sent on: %v", err)
			}
		}
	})
}

// isClean tells subtypes apart that a content-type can carry as they are.
func isClean(s string) bool {
	again, ok := Subtype(ContentType(s))
	return ok && again == s && validValue(s)
}
