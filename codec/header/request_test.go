package header

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/metadata"
	"pgregory.net/rapid"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// anyOrder compares blocks whose metadata comes out of a map.
var anyOrder = cmpopts.SortSlices(func(a, b frame.Field) bool {
	return a.Name < b.Name || a.Name == b.Name && a.Value < b.Value
})

func TestRequestFieldsInOrder(t *testing.T) {
	r := &Request{
		Method: "/s/M", Authority: "host", Scheme: "https", ContentSubtype: "json",
		UserAgent: "callboard", Encoding: "gzip", AcceptEncoding: "gzip", PreviousAttempts: 2,
		Timeout: time.Second, HasTimeout: true,
		StatsTags: []byte("hi"), StatsTrace: []byte{},
		Extra:    []string{"Authorization", "Bearer x", "token-bin", "hi"},
		Metadata: metadata.MD{"k": {"1", " 2 "}},
	}
	want := fields(
		":method", "POST", ":scheme", "https", ":path", "/s/M", ":authority", "host",
		"grpc-timeout", "1000000u", "te", "trailers", "content-type", "application/grpc+json",
		"grpc-encoding", "gzip", "grpc-accept-encoding", "gzip", "user-agent", "callboard",
		"grpc-previous-rpc-attempts", "2", "grpc-tags-bin", "aGk", "grpc-trace-bin", "",
		"authorization", "Bearer x", "token-bin", "aGk",
		"k", "1", "k", "2",
	)
	if diff := cmp.Diff(want, r.AppendFields(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestNamesOfTheProtocolAreNotTheApplications(t *testing.T) {
	own := (&Request{Method: "/s/M", Authority: "a"}).AppendFields(nil)
	r := &Request{Method: "/s/M", Authority: "a", Metadata: metadata.MD{"": {"x"}}, Extra: []string{"odd"}}
	for _, k := range []string{
		":path", ":x", "content-type", "user-agent", "te", "grpc-timeout", "grpc-encoding", "grpc-message",
		"grpc-status", "grpc-message-type", "connection", "transfer-encoding", "upgrade", "keep-alive",
		"proxy-connection", "content-length", "grpc-accept-encoding",
	} {
		r.Metadata[k] = []string{"x"}
		r.Extra = append([]string{k, "x"}, r.Extra...)
	}
	if diff := cmp.Diff(own, r.AppendFields(nil)); diff != "" {
		t.Error(diff)
	}
	r.Metadata = metadata.MD{"grpc-previous-rpc-attempts": {"1"}, "grpc-retry-pushback-ms": {"5"}, "x-bin": {"hi"}}
	want := append(own, fields("grpc-previous-rpc-attempts", "1", "grpc-retry-pushback-ms", "5", "x-bin", "aGk")...)
	if diff := cmp.Diff(want, r.AppendFields(nil), anyOrder); diff != "" {
		t.Error(diff)
	}
}

// TestWhatIsSentIsWhatIsRead sends requests of all kinds through the parser.
func TestWhatIsSentIsWhatIsRead(t *testing.T) {
	key := rapid.StringMatching(`x-[a-z0-9_.]{0,5}(-bin)?`)
	rapid.Check(t, func(t *rapid.T) {
		md := metadata.MD{}
		for range rapid.IntRange(0, 4).Draw(t, "keys") {
			k := key.Draw(t, "key")
			v := rapid.StringMatching(`([!-~]([ -~]{0,8}[!-~])?)?`).Draw(t, "text")
			if isBinary(k) {
				v = string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "raw"))
			}
			md[k] = append(md[k], v)
		}
		r := &Request{
			Method:         "/" + rapid.StringMatching(`[a-z]{1,4}/[A-Z]{1,4}`).Draw(t, "method"),
			Authority:      rapid.StringMatching(`[a-z]{1,8}:[0-9]{1,4}`).Draw(t, "authority"),
			ContentSubtype: rapid.SampledFrom([]string{"", "proto", "json", "x"}).Draw(t, "subtype"),
			Encoding:       rapid.SampledFrom([]string{"", "gzip"}).Draw(t, "encoding"),
			AcceptEncoding: rapid.SampledFrom([]string{"", "gzip,zstd"}).Draw(t, "accept"),
			UserAgent:      "ua",
			Timeout:        time.Duration(rapid.IntRange(1, 1000).Draw(t, "timeout")) * time.Microsecond,
			HasTimeout:     rapid.Bool().Draw(t, "has timeout"),
			Metadata:       md,
		}
		if !r.HasTimeout {
			r.Timeout = 0
		}
		var in InboundRequest
		if err := ParseRequest(r.AppendFields(nil), &in); err != nil {
			t.Fatal(err)
		}
		got := &Request{
			Method: in.Method, Authority: in.Authority, ContentSubtype: in.ContentSubtype, Encoding: in.Encoding,
			AcceptEncoding: in.AcceptEncoding, UserAgent: in.UserAgent, Timeout: in.Timeout, HasTimeout: in.HasTimeout,
			Metadata: metadata.MD{},
		}
		for k, v := range in.Metadata() {
			if k[0] == 'x' {
				got.Metadata[k] = v
			}
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
