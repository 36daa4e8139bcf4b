package header

import (
	"testing"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func noAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(200, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

func TestOrdinaryBlocksDoNotAllocate(t *testing.T) {
	room := make([]frame.Field, 0, 32)
	rq := &Request{
		Method: "/s/M", Authority: "a", UserAgent: "u", AcceptEncoding: "gzip", ContentSubtype: "proto",
		HasTimeout: true, Timeout: 10*time.Second - 1500,
	}
	rs, tr := &Response{}, &Trailer{}
	noAllocs(t, "Request.AppendFields", func() { rq.AppendFields(room) })
	noAllocs(t, "Response.AppendFields", func() { rs.AppendFields(room) })
	noAllocs(t, "Trailer.AppendFields", func() { tr.AppendFields(room) })

	in, out := new(InboundRequest), new(InboundResponse)
	fs := append(usual(), fields("x", "1", "y-bin", "aGk")...)
	noAllocs(t, "ParseRequest", func() {
		if ParseRequest(fs, in) != nil {
			t.Fatal()
		}
	})
	head, tail := answer(), fields("grpc-status", "0", "grpc-message", "")
	noAllocs(t, "ParseResponse", func() {
		if ParseResponse(head, out) != nil {
			t.Fatal()
		}
	})
	noAllocs(t, "ParseTrailer", func() {
		if _, _, err := ParseTrailer(tail); err != nil {
			t.Fatal()
		}
	})
}

func BenchmarkRequestAppendFields(b *testing.B) {
	b.ReportAllocs()
	room := make([]frame.Field, 0, 32)
	r := &Request{Method: "/s/M", Authority: "a", UserAgent: "u", HasTimeout: true, Timeout: 10*time.Second - 1500}
	for b.Loop() {
		r.AppendFields(room)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	b.ReportAllocs()
	fs, in := usual(), new(InboundRequest)
	for b.Loop() {
		if err := ParseRequest(fs, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequestMetadata(b *testing.B) {
	b.ReportAllocs()
	in := new(InboundRequest)
	if err := ParseRequest(append(usual(), fields("x", "1", "y", "2")...), in); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		in.Metadata()
	}
}

func BenchmarkParseResponse(b *testing.B) {
	b.ReportAllocs()
	fs, in := answer(), new(InboundResponse)
	for b.Loop() {
		if err := ParseResponse(fs, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseTrailerOK(b *testing.B) {
	b.ReportAllocs()
	fs := fields("grpc-status", "0", "grpc-message", "")
	for b.Loop() {
		if _, _, err := ParseTrailer(fs); err != nil {
			b.Fatal(err)
		}
	}
}
