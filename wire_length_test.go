package callboard_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// rpcEvents hears of RPCs alone.
type rpcEvents func(stats.RPCStats)

func (f rpcEvents) HandleRPC(_ context.Context, ev stats.RPCStats)                  { f(ev) }
func (rpcEvents) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (rpcEvents) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (rpcEvents) HandleConn(context.Context, stats.ConnStats)                       {}

// Header blocks are reported with their length on the wire, as by grpc-go: which
// it is depends on who encodes, so the receiver's report is compared for one and
// the same sender.
func TestHeadersHaveALengthOnTheWire(t *testing.T) {
	type lengths struct{ request, response, trailer int }
	measure := func(theirClient, theirServer bool) lengths {
		var mu sync.Mutex
		var got lengths
		seen := rpcEvents(func(ev stats.RPCStats) {
			mu.Lock()
			defer mu.Unlock()
			switch ev := ev.(type) {
			case *stats.InHeader:
				if ev.IsClient() {
					got.response = ev.WireLength
				} else {
					got.request = ev.WireLength
				}
			case *stats.InTrailer:
				if ev.IsClient() {
					got.trailer = ev.WireLength
				}
			}
		})
		var srv server = newSystem(t).NewServer(callboard.StatsHandler(seen))
		if theirServer {
			srv = grpc.NewServer(grpc.StatsHandler(seen))
		}
		addr := playbook{unary: echo}.start(t, srv)
		var cc grpc.ClientConnInterface
		if theirClient {
			cc = dialTheirs(t, addr, grpc.WithStatsHandler(seen))
		} else {
			cc = ours(t, addr, callboard.WithStatsHandler(seen))
		}
		if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return got
	}
	const slack = 8 // ports and deadlines of different length
	near := func(a, b int) bool { return a > 0 && a-b <= slack && b-a <= slack }
	ref := measure(true, true)
	byServer, byClient := measure(true, false), measure(false, true)
	if !near(byServer.request, ref.request) {
		t.Errorf("our server counts %d for their request, theirs %d", byServer.request, ref.request)
	}
	if !near(byClient.response, ref.response) || !near(byClient.trailer, ref.trailer) {
		t.Errorf("our client counts %+v for their response, theirs %+v", byClient, ref)
	}
}
