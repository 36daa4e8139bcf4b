package cases

import (
	"fmt"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

// Sizes of the description, in bytes.
const (
	largeRequest  = 271828
	largeResponse = 314159
)

var (
	requestSizes  = []int{27182, 8, 1828, 45904}
	responseSizes = []int{31415, 9, 2653, 58979}
)

// zeros backs every payload: nobody writes to a message once it is built.
var zeros [1 << 20]byte

func payload(n int) *pb.Payload {
	if n <= len(zeros) {
		return &pb.Payload{Body: zeros[:n:n]}
	}
	return &pb.Payload{Body: make([]byte, n)}
}

// checkPayload wants n bytes of zeros.
func checkPayload(p *pb.Payload, n int) error {
	if p.GetType() != pb.PayloadType_COMPRESSABLE || len(p.GetBody()) != n {
		return fmt.Errorf("payload is %d bytes of type %v, want %d of type COMPRESSABLE", len(p.GetBody()), p.GetType(), n)
	}
	for i, b := range p.GetBody() {
		if b != 0 {
			return fmt.Errorf("payload byte %d is %#x, want 0", i, b)
		}
	}
	return nil
}

func outputRequest(request int, responses ...int) *pb.StreamingOutputCallRequest {
	m := &pb.StreamingOutputCallRequest{}
	if request > 0 {
		m.Payload = payload(request)
	}
	for _, n := range responses {
		m.ResponseParameters = append(m.ResponseParameters, &pb.ResponseParameters{Size: int32(n)})
	}
	return m
}
