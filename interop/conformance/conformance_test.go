package conformance_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/callboard-rpc/callboard/interop/conformance"
	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

func TestMessagesStandBehindTheirLength(t *testing.T) {
	var buf bytes.Buffer
	want := &pb.ServerCompatResponse{Host: "127.0.0.1", Port: 1}
	w := conformance.NewWriter(&buf)
	for range 2 {
		if err := w.Write(want); err != nil {
			t.Fatal(err)
		}
	}
	whole := bytes.Clone(buf.Bytes())
	for range 2 {
		got := new(pb.ServerCompatResponse)
		if err := conformance.Read(&buf, got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
	}
	if err := conformance.Read(&buf, want); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
	for _, cut := range []int{2, 4, 6} {
		err := conformance.Read(bytes.NewReader(whole[:cut]), new(pb.ServerCompatResponse))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v, want io.ErrUnexpectedEOF", cut, err)
		}
	}
}

func TestBinaryHeadersAreBase64(t *testing.T) {
	want := metadata.MD{"plain": {"a", "b"}, "some-bin": {"\x00\xff", ""}}
	headers := conformance.Headers(want)
	for _, h := range headers {
		if h.GetName() == "some-bin" {
			if d := cmp.Diff([]string{"AP8", ""}, h.GetValue()); d != "" {
				t.Errorf("some-bin (-want +got):\n%s", d)
			}
		}
	}
	if d := cmp.Diff(want, conformance.Metadata(headers)); d != "" {
		t.Errorf("metadata (-want +got):\n%s", d)
	}
}

func TestErrorsAreStatuses(t *testing.T) {
	if conformance.Error(nil) != nil || conformance.Status(nil) != nil {
		t.Error("nil is not OK")
	}
	err := conformance.Status(conformance.Error(status.Error(codes.NotFound, "gone")))
	if status.Code(err) != codes.NotFound || status.Convert(err).Message() != "gone" {
		t.Errorf("error is %v", err)
	}
}
