package header

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// detailed is a serialized status with one detail.
func detailed(t testing.TB, code codes.Code, msg string) (*spb.Status, []byte) {
	t.Helper()
	detail, err := anypb.New(durationpb.New(1))
	if err != nil {
		t.Fatal(err)
	}
	st := &spb.Status{Code: int32(code), Message: msg, Details: []*anypb.Any{detail}}
	b, err := proto.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	return st, b
}

func TestParseTrailerStatus(t *testing.T) {
	full, raw := detailed(t, codes.NotFound, "full")
	_, nameless := detailed(t, codes.NotFound, "")
	bin := EncodeBin(raw)
	plain := &spb.Status{Code: 5, Message: "short"}
	for name, c := range map[string]struct {
		fs   []frame.Field
		want *spb.Status
	}{
		"ok":                  {fields("grpc-status", "0"), &spb.Status{}},
		"ok, empty message":   {fields("grpc-status", "0", "grpc-message", ""), &spb.Status{}},
		"ok with message":     {fields("grpc-status", "0", "grpc-message", "fine"), &spb.Status{Message: "fine"}},
		"ok with details":     {fields("grpc-status", "0", "grpc-status-details-bin", bin), &spb.Status{}},
		"error":               {fields("grpc-status", "5", "grpc-message", "sh%6Frt"), plain},
		"error without text":  {fields("grpc-status", "16"), &spb.Status{Code: 16}},
		"unknown number":      {fields("grpc-status", "17"), &spb.Status{Code: 17}},
		"details":             {fields("grpc-status", "5", "grpc-message", "short", "grpc-status-details-bin", bin), full},
		"details first":       {fields("grpc-status-details-bin", bin, "grpc-status", "5"), full},
		"details, no text":    {fields("grpc-status", "5", "grpc-message", "full", "grpc-status-details-bin", EncodeBin(nameless)), full},
		"contradicting":       {fields("grpc-status", "5", "grpc-message", "short", "grpc-status-details-bin", EncodeBin(must(detailed(t, codes.Aborted, "x")))), plain},
		"details not base64":  {fields("grpc-status", "5", "grpc-message", "short", "grpc-status-details-bin", "!!!"), plain},
		"details not a proto": {fields("grpc-status", "5", "grpc-message", "short", "grpc-status-details-bin", "/////w"), plain},
		"two details":         {fields("grpc-status", "5", "grpc-message", "short", "grpc-status-details-bin", bin, "grpc-status-details-bin", bin), plain},
		"equal repetition":    {fields("grpc-status", "5", "grpc-status", "5", "grpc-message", "short"), plain},
	} {
		st, _, err := ParseTrailer(c.fs)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, st.Proto(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func must(_ *spb.Status, b []byte) []byte { return b }

func TestUnreadableStatusIsUnknown(t *testing.T) {
	for name, fs := range map[string][]frame.Field{
		"missing":       fields("grpc-message", "error"),
		"nothing":       nil,
		"empty":         fields("grpc-status", ""),
		"words":         fields("grpc-status", "OK"),
		"negative":      fields("grpc-status", "-1"),
		"huge":          fields("grpc-status", "4294967296"),
		"long":          fields("grpc-status", "00000000000"),
		"contradiction": fields("grpc-status", "0", "grpc-status", "5"),
		"hidden":        fields("grpc-status", "x", "grpc-status", "0"),
	} {
		st, _, err := ParseTrailer(fs)
		if err != nil || st.Code() != codes.Unknown || st.Message() == "" {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
}

func TestTrailersWithAProblem(t *testing.T) {
	for name, c := range map[string]struct {
		fs   []frame.Field
		kind Kind
	}{
		"pseudo-field": {fields(":status", "200", "grpc-status", "0"), Malformed},
		"upper case":   {fields("grpc-status", "0", "Foo", "x"), Malformed},
		"line break":   {fields("grpc-status", "0", "grpc-message", "a\r\nb"), Malformed},
		"bad -bin":     {fields("grpc-status", "0", "x-bin", "!"), Broken},
	} {
		_, _, err := ParseTrailer(c.fs)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if p := problem(t, err); p.Kind != c.kind || p.Code != codes.Internal {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestParseTrailersOnly(t *testing.T) {
	st, md, err := ParseTrailersOnly(append(answer(), fields("grpc-status", "9", "grpc-message", "error", "x", "1", "x", "2")...))
	if err != nil || st.Code() != codes.FailedPrecondition || st.Message() != "error" {
		t.Fatal(st, err)
	}
	want := metadata.MD{"content-type": {"application/grpc+proto"}, "x": {"1", "2"}}
	if diff := cmp.Diff(want, md); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		fs   []frame.Field
		code codes.Code
	}{
		"status counts before HTTP's": {fields(":status", "503", "content-type", "application/grpc", "grpc-status", "9"), codes.FailedPrecondition},
		"no content-type":             {fields(":status", "200", "grpc-status", "9"), codes.FailedPrecondition},
		"only HTTP's":                 {fields(":status", "503", "content-type", "application/grpc"), codes.Unavailable},
		"neither":                     {answer(), codes.Unknown},
		"not gRPC":                    {fields(":status", "401", "content-type", "text/html", "grpc-status", "9"), codes.Unauthenticated},
		"informational":               {fields(":status", "103"), codes.Internal},
	} {
		st, _, err := ParseTrailersOnly(c.fs)
		if err != nil {
			st = problem(t, err).GRPCStatus()
		}
		if st.Code() != c.code {
			t.Errorf("%s: %v", name, st)
		}
	}
}

func TestStatusComesBack(t *testing.T) {
	_, raw := detailed(t, codes.Unknown, "")
	rapid.Check(t, func(t *rapid.T) {
		code := codes.Code(rapid.IntRange(0, 20).Draw(t, "code"))
		sent := status.New(code, rapid.String().Draw(t, "message"))
		if code != codes.OK && rapid.Bool().Draw(t, "details") {
			p := new(spb.Status)
			if err := proto.Unmarshal(raw, p); err != nil {
				t.Fatal(err)
			}
			p.Code, p.Message = int32(code), sent.Message()
			sent = status.FromProto(p)
		}
		tr := Trailer{Metadata: metadata.MD{"k": {"v"}}, Only: rapid.Bool().Draw(t, "only")}
		tr.SetStatus(sent)
		parse := ParseTrailer
		if tr.Only {
			parse = ParseTrailersOnly
		}
		got, md, err := parse(tr.AppendFields(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent.Proto(), got.Proto(), protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
		if md["k"][0] != "v" {
			t.Fatalf("metadata %v", md)
		}
	})
}

func FuzzParseTrailer(f *testing.F) {
	_, raw := detailed(f, codes.NotFound, "m")
	f.Add(pack(fields("grpc-status", "0", "grpc-message", "")))
	f.Add(pack(fields("grpc-status", "5", "grpc-message", "a%20b", "grpc-status-details-bin", EncodeBin(raw))))
	f.Add(pack(fields("grpc-message", "%", "x-bin", "aGk,")))
	f.Add(pack(append(answer(), fields("grpc-status", "99999999999")...)))
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := unpack(data)
		for _, parse := range []func([]frame.Field) (*status.Status, metadata.MD, error){ParseTrailer, ParseTrailersOnly} {
			st, md, err := parse(fs)
			if err != nil {
				if p := problem(t, err); p.Kind == Reply || p.Code == codes.OK {
					t.Fatalf("%+v", p)
				}
				continue
			}
			if st == nil {
				t.Fatal("neither status nor error")
			}
			if _, err := proto.Marshal(st.Proto()); err != nil {
				t.Fatalf("the status cannot be sent on: %v", err)
			}
			for k := range md {
				if isReserved(k) && k != nameContentType {
					t.Fatalf("metadata %q", k)
				}
			}
		}
	})
}
