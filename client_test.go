package callboard_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/interop/cases"
	"github.com/callboard-rpc/callboard/interop/observe"
	"github.com/callboard-rpc/callboard/interop/peer"
	"github.com/callboard-rpc/callboard/interop/services"
)

func theirServer(t *testing.T, opts ...grpc.ServerOption) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(srv, services.NewTest(services.Runtime{SetSendCompressor: grpc.SetSendCompressor, Prepare: peer.GRPCGo().Prepare}))
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return lis.Addr().String()
}

func newSystem(t *testing.T) *callboard.System {
	t.Helper()
	sys, err := callboard.NewSystem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := sys.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return sys
}

func TestUnaryAgainstGrpcGo(t *testing.T) {
	sys := newSystem(t)
	cc, err := sys.NewClient(theirServer(t, grpc.StatsHandler(observe.Handler{})), callboard.WithStatsHandler(observe.Handler{}), callboard.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := testpb.NewTestServiceClient(cc)
	for range 3 {
		if _, err := c.EmptyCall(ctx, &testpb.Empty{}); err != nil {
			t.Logf("%v", sys.Inspect())
			t.Fatal(err)
		}
	}
	for _, cs := range cases.All() {
		if cs.Name == "client_compressed_streaming" || cs.Name == "channel_soak" {
			continue
		}
		if _, err := c.EmptyCall(ctx, &testpb.Empty{}); err != nil {
			t.Fatal(err)
		}
		t.Log(cs.Name)
		if err := cs.Run(ctx, &cases.Env{Conn: cc, Prepare: peer.GRPCGo().Prepare, Parallel: 10, Soak: cases.Soak{Iterations: 5}}); err != nil {
			t.Errorf("%s: %v", cs.Name, err)
		}
	}
	t.Logf("%v", sys.Inspect())
}
