package header

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func answer() []frame.Field {
	return fields(":status", "200", "content-type", "application/grpc+proto", "grpc-encoding", "gzip")
}

func TestParseResponse(t *testing.T) {
	var in InboundResponse
	fs := append(answer(), fields("grpc-accept-encoding", "gzip", "x", "1", "y-bin", "aGk", "te", "trailers")...)
	if err := ParseResponse(fs, &in); err != nil {
		t.Fatal(err)
	}
	want := InboundResponse{
		HTTPStatus: 200, ContentType: "application/grpc+proto", ContentSubtype: "proto", Encoding: "gzip", AcceptEncoding: "gzip",
		Fields: fields("content-type", "application/grpc+proto", "grpc-accept-encoding", "gzip", "x", "1", "y-bin", "aGk"),
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
	md := metadata.MD{
		"content-type": {"application/grpc+proto"}, "grpc-accept-encoding": {"gzip"}, "x": {"1"}, "y-bin": {"hi"},
	}
	if diff := cmp.Diff(md, in.Metadata()); diff != "" {
		t.Error(diff)
	}
}

func TestInformationalResponsesNeedNoContentType(t *testing.T) {
	var in InboundResponse
	for _, s := range []string{"100", "103", "199"} {
		if err := ParseResponse(fields(":status", s, "link", "x"), &in); err != nil || !in.Informational {
			t.Errorf("%s: %v %+v", s, err, in)
		}
	}
	if err := ParseResponse(answer(), &in); err != nil || in.Informational {
		t.Errorf("the response behind it: %v %+v", err, in)
	}
}

func TestResponsesWithAProblem(t *testing.T) {
	for name, c := range map[string]struct {
		fs   []frame.Field
		kind Kind
		code codes.Code
	}{
		"nothing":               {nil, Malformed, codes.Internal},
		"no :status":            {without(answer(), ":status"), Malformed, codes.Internal},
		"two :status":           {append(fields(":status", "200"), answer()...), Malformed, codes.Internal},
		"late :status":          {append(without(answer(), ":status"), fields(":status", "200")...), Malformed, codes.Internal},
		"request pseudo-field":  {append(fields(":path", "/"), answer()...), Malformed, codes.Internal},
		"status of two digits":  {with(answer(), ":status", "20"), Malformed, codes.Internal},
		"status of words":       {with(answer(), ":status", "abc"), Malformed, codes.Internal},
		"status 099":            {with(answer(), ":status", "099"), Malformed, codes.Internal},
		"switching protocols":   {with(answer(), ":status", "101"), Malformed, codes.Internal},
		"upper case":            {append(answer(), fields("X", "1")...), Malformed, codes.Internal},
		"line break":            {with(answer(), "grpc-encoding", "a\n"), Malformed, codes.Internal},
		"connection-specific":   {append(answer(), fields("transfer-encoding", "x")...), Malformed, codes.Internal},
		"not gRPC":              {with(answer(), "content-type", "image/jpeg"), Broken, codes.Unknown},
		"no content-type":       {without(answer(), "content-type"), Broken, codes.Unknown},
		"teapot":                {fields(":status", "418"), Broken, codes.Unknown},
		"no such status":        {fields(":status", "800"), Broken, codes.Unknown},
		"gateway":               {fields(":status", "503", "content-type", "text/html"), Broken, codes.Unavailable},
		"HTML with grpc-status": {fields(":status", "404", "content-type", "text/html", "grpc-status", "0"), Broken, codes.Unimplemented},
		"bad -bin":              {append(answer(), fields("x-bin", "!")...), Broken, codes.Internal},
		"two content-types":     {append(answer(), fields("content-type", "application/grpc")...), Broken, codes.Internal},
		"two encodings":         {append(answer(), fields("grpc-encoding", "x")...), Broken, codes.Internal},
	} {
		err := ParseResponse(c.fs, new(InboundResponse))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		p := problem(t, err)
		if p.Kind != c.kind || p.Code != c.code || status.Code(err) != c.code {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestStatusFromHTTP(t *testing.T) {
	want := map[int]codes.Code{
		400: codes.Internal, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.Unimplemented,
		429: codes.Unavailable, 502: codes.Unavailable, 503: codes.Unavailable, 504: codes.Unavailable,
	}
	for n := range 1000 {
		code, ok := want[n]
		if !ok {
			code = codes.Unknown
		}
		if got := StatusFromHTTP(n); got != code {
			t.Errorf("%d: %v, want %v", n, got, code)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add(pack(answer()))
	f.Add(pack(append(answer(), fields("grpc-status", "0", "x-bin", "aGk,aA=")...)))
	f.Add(pack(fields(":status", "100")))
	f.Add(pack(fields(":status", "503", "content-type", "text/html")))
	f.Add(pack(fields(":status", "200", ":status", "200", "", "")))
	var in InboundResponse
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := unpack(data)
		if err := ParseResponse(fs, &in); err != nil {
			if p := problem(t, err); p.Kind == Reply {
				t.Fatalf("a client cannot reply: %+v", p)
			}
			return
		}
		if in.HTTPStatus < 100 || in.HTTPStatus > 999 || in.Informational != (in.HTTPStatus < 200) {
			t.Fatalf("accepted %+v", in)
		}
		if md := in.Metadata(); (md == nil) != (len(in.Fields) == 0) {
			t.Fatalf("%d fields became %v", len(in.Fields), md)
		}
	})
}
