package safety_test

import (
	"context"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"
)

// fastReconnect keeps tests of reconnecting short.
var fastReconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.2, Jitter: 0.1, MaxDelay: 100 * time.Millisecond},
	MinConnectTimeout: time.Second,
}

func marshal(m proto.Message) ([]byte, error) { return proto.Marshal(m) }

func goexit() { runtime.Goexit() }

func panickyTap(context.Context, *tap.Info) (context.Context, error) { panic("tap") }

// panickyCodec panics on everything.
type panickyCodec struct{}

func (panickyCodec) Marshal(any) ([]byte, error) { panic("marshal") }
func (panickyCodec) Unmarshal([]byte, any) error { panic("unmarshal") }
func (panickyCodec) Name() string                { return "panicky" }

// panickyStats panics in the method it is named after.
type panickyStats string

func (p panickyStats) at(where string) {
	if string(p) == where {
		panic("stats handler: " + where)
	}
}

func (p panickyStats) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	p.at("TagRPC")
	return ctx
}

func (p panickyStats) HandleRPC(context.Context, stats.RPCStats) { p.at("HandleRPC") }

func (p panickyStats) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	p.at("TagConn")
	return ctx
}

func (p panickyStats) HandleConn(context.Context, stats.ConnStats) { p.at("HandleConn") }
