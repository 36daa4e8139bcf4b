package services

import (
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// maxPayload bounds the response a client may ask for: one call must not take
// the server's memory.
const maxPayload = 64 << 20

// zeros backs the common payloads: nobody writes to a message once it is built.
var zeros [1 << 20]byte

func payload(kind pb.PayloadType, n int32) (*pb.Payload, error) {
	switch {
	case kind != pb.PayloadType_COMPRESSABLE:
		return nil, status.Errorf(codes.InvalidArgument, "payload type %d is not supported", kind)
	case n < 0 || n > maxPayload:
		return nil, status.Errorf(codes.InvalidArgument, "payload size %d is not within 0 and %d", n, maxPayload)
	case int(n) <= len(zeros):
		return &pb.Payload{Body: zeros[:n:n]}, nil
	}
	return &pb.Payload{Body: make([]byte, n)}, nil
}
