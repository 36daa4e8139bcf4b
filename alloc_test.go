package callboard_test

import (
	"context"
	"net"
	"runtime/debug"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/interop/services"
)

// What one RPC and one message allocate, client and server together, with the
// messages and the caller's context. Counts are exact; a change that adds to
// them has to say why here.
const (
	// 9 of them are the four protobuf messages with their payloads, 5 the
	// caller's context with a deadline.
	unaryAllocs   = 17
	messageAllocs = 8 // of one ping-pong on a stream: the protobuf messages, both ways
)

func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates, too")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sys := newSystem(t)
	srv := sys.NewServer()
	testpb.RegisterBenchmarkServiceServer(srv, services.Benchmark{})
	go func() { _ = srv.Serve(lis) }()
	cc, err := sys.NewClient(lis.Addr().String(), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	c := testpb.NewBenchmarkServiceClient(cc)
	req := &testpb.SimpleRequest{ResponseSize: 10, Payload: &testpb.Payload{Body: make([]byte, 10)}}
	unary := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := c.UnaryCall(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	st, err := c.StreamingCall(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	pingPong := func() {
		if err := st.Send(req); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	// A collection would empty the pools and be counted.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 1000 {
		unary()
		pingPong()
	}
	if n := testing.AllocsPerRun(2000, unary); n > unaryAllocs {
		t.Errorf("a unary RPC allocates %v times, want %d", n, unaryAllocs)
	}
	if n := testing.AllocsPerRun(2000, pingPong); n > messageAllocs {
		t.Errorf("a message each way allocates %v times, want %d", n, messageAllocs)
	}
}
