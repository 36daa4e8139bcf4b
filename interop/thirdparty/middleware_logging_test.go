package thirdparty_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// journal is what one side of one method logs, in order.
type journal struct {
	mu    sync.Mutex
	lines map[string][]string
}

// volatile are the fields that differ from run to run. grpc.error is among them
// because the texts of errors are nobody's contract.
var volatile = map[string]bool{
	"grpc.start_time": true, "grpc.time_ms": true, "grpc.request.deadline": true, "peer.address": true,
	"grpc.send.duration": true, "grpc.recv.duration": true, "grpc.error": true,
}

func (j *journal) Log(_ context.Context, level logging.Level, msg string, fields ...any) {
	line, of := fmt.Sprint(level, " ", msg), ""
	for it := logging.Fields(fields).Iterator(); it.Next(); {
		k, v := it.At()
		switch {
		case k == "grpc.component" || k == "grpc.method":
			of += fmt.Sprint(v, " ")
		case volatile[k]:
			line += fmt.Sprint(" ", k)
		default:
			line += fmt.Sprintf(" %s=%v", k, v)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines[of] = append(j.lines[of], line)
}

// Both sides log the same as over grpc-go: unary and all kinds of streams, when
// they begin, with each message, and how they end.
func TestMiddlewareLogging(t *testing.T) {
	want := sameAsGRPCGo(t, func(t *testing.T, p pairing) map[string][]string {
		j := &journal{lines: map[string][]string{}}
		events := logging.WithLogOnEvents(logging.StartCall, logging.FinishCall, logging.PayloadReceived, logging.PayloadSent)
		srv := p.server.server(serverSide{
			unary:  []grpc.UnaryServerInterceptor{logging.UnaryServerInterceptor(j, events)},
			stream: []grpc.StreamServerInterceptor{logging.StreamServerInterceptor(j, events)},
		})
		testpb.RegisterTestServiceServer(srv, &pingService{})
		addr, stop := serve(t, srv)
		cc := dial(t, p.client, addr, clientSide{
			unary:  []grpc.UnaryClientInterceptor{logging.UnaryClientInterceptor(j, events)},
			stream: []grpc.StreamClientInterceptor{logging.StreamClientInterceptor(j, events)},
		})
		everyKind(t, testpb.NewTestServiceClient(cc))
		_ = cc.Close()
		stop() // the handlers' last lines
		return j.lines
	})
	for of, n := range map[string]int{
		"client Ping ": 4, "server Ping ": 4,
		"client PingError ": 3, "server PingError ": 3,
		"client PingList ": testpb.ListResponseCount + 3, "server PingList ": testpb.ListResponseCount + 3,
		"client PingStream ": 6, "server PingStream ": 6,
		"client PingClientStream ": 5, "server PingClientStream ": 5,
	} {
		if len(want[of]) != n {
			t.Errorf("%d lines of %q, want %d: %q", len(want[of]), of, n, want[of])
		}
	}
}

// everyKind makes one RPC of each kind, and one that fails.
func everyKind(t *testing.T, c testpb.TestServiceClient) {
	t.Helper()
	ctx := soon(t)
	if _, err := c.Ping(ctx, testpb.GoodPing); err != nil {
		t.Error(err)
	}
	refused := &testpb.PingErrorRequest{ErrorCodeReturned: uint32(codes.DataLoss)}
	if _, err := c.PingError(ctx, refused); status.Code(err) != codes.DataLoss {
		t.Error(err)
	}
	var got retried
	if err := callPingList(ctx, c, &got); err != nil || len(got.Messages) != testpb.ListResponseCount {
		t.Errorf("%d messages, then %v", len(got.Messages), err)
	}
	bidi, err := c.PingStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := bidi.Send(testpb.GoodPingStream); err != nil {
			t.Error(err)
		}
		if _, err := bidi.Recv(); err != nil {
			t.Error(err)
		}
	}
	if err := bidi.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := bidi.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	up, err := c.PingClientStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := up.Send(&testpb.PingClientStreamRequest{}); err != nil {
			t.Error(err)
		}
	}
	if m, err := up.CloseAndRecv(); err != nil || m.GetCounter() != 2 {
		t.Errorf("%v, %v", m, err)
	}
}
