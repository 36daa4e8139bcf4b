package services

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/interop/observe"
)

// Metadata that is sent back: the first in the header, the second in the
// trailer.
const (
	echoInitialKey  = "x-grpc-test-echo-initial"
	echoTrailingKey = "x-grpc-test-echo-trailing-bin"
)

func echoes(ctx context.Context) (header, trailer metadata.MD) {
	in, _ := metadata.FromIncomingContext(ctx)
	header, trailer = metadata.MD{}, metadata.MD{}
	if v := in.Get(echoInitialKey); len(v) > 0 {
		header[echoInitialKey] = v
	}
	if v := in.Get(echoTrailingKey); len(v) > 0 {
		trailer[echoTrailingKey] = v
	}
	return header, trailer
}

// checkCompressed refuses the i-th request message when the client says it is
// compressed and it is not, or the reverse.
func checkCompressed(ctx context.Context, i int, expect *pb.BoolValue) error {
	if expect == nil {
		return nil
	}
	got, ok := observe.FromContext(ctx).Compressed(i)
	switch {
	case !ok:
		return status.Error(codes.Internal, "compression is not observed: the server lacks observe.Handler")
	case got != expect.GetValue():
		return status.Errorf(codes.InvalidArgument, "request message %d: compressed is %v, expect_compressed is %v", i, got, expect.GetValue())
	}
	return nil
}

// compress turns compression of the responses on or off. Off must be said too:
// by default a response is compressed as its request was.
func (t *Test) compress(ctx context.Context, on bool) error {
	name := "identity"
	if on {
		name = gzip.Name
	}
	if err := t.rt.SetSendCompressor(ctx, name); err != nil {
		return status.Errorf(codes.FailedPrecondition, "response_compressed: %v", err)
	}
	return nil
}

// username is the name in the client's verified certificate: a URI (SPIFFE), a
// mail address, a DNS name or the common name. It is empty without one.
func username(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return ""
	}
	leaf := info.State.VerifiedChains[0][0]
	switch {
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case len(leaf.EmailAddresses) > 0:
		return leaf.EmailAddresses[0]
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	}
	return leaf.Subject.CommonName
}
