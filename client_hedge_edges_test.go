package callboard_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// impatient is a stats handler that gives attempts less time than their RPC has.
type impatient struct{ counting }

func (impatient) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func TestAttemptEndsWithItsStatsHandlersContext(t *testing.T) {
	for name, js := range map[string]string{"retried": retryFast, "hedged": hedge(2, "0.001s")} {
		for kind, call := range bothKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var begun, ended atomic.Int32
				h := hangUnless(func(int) bool { return false }, ok)
				c := h.client(t, policy(js), callboard.WithStatsHandler(impatient{counting{&begun, &ended}}))
				if got := status.Code(call(bounded(t), c)); got != codes.DeadlineExceeded {
					t.Errorf("%v, want DeadlineExceeded", got)
				}
				eventually(t, func() bool { return h.live.Load() == 0 && begun.Load() == ended.Load() })
			})
		}
	}
}

// unmarshalable panics when it is asked for its octets.
type unmarshalable struct{}

func (unmarshalable) Name() string                { return "unmarshalable" }
func (unmarshalable) Marshal(any) ([]byte, error) { panic("marshal") }
func (unmarshalable) Unmarshal([]byte, any) error { return nil }

func TestHedgedCallWhoseCodecPanicsEnds(t *testing.T) {
	var begun, ended atomic.Int32
	h := hangUnless(func(int) bool { return false }, ok)
	c := h.client(t, policy(hedge(2, "100s")), callboard.WithStatsHandler(counting{&begun, &ended}))
	finished := make(chan struct{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it does not panic here")
			}
		}()
		_, _ = c.UnaryCall(context.WithoutCancel(t.Context()), &testpb.SimpleRequest{}, grpc.ForceCodec(unmarshalable{}), grpc.OnFinish(func(error) { close(finished) }))
	}()
	select {
	case <-finished:
	case <-bounded(t).Done():
		t.Fatal("OnFinish is not called")
	}
	eventually(t, func() bool { return begun.Load() == ended.Load() })
}

// delays notes which attempts waited for the channel's first resolution.
type delays struct {
	counting
	seen chan bool
}

func (d delays) TagRPC(ctx context.Context, i *stats.RPCTagInfo) context.Context {
	d.seen <- i.NameResolutionDelay
	return ctx
}

func TestStatsHandlersHearWhoWaitedForTheResolver(t *testing.T) {
	for name, js := range map[string]string{"plain": `"waitForReady":true`, "retried": retryFast, "hedged": hedge(2, "100s")} {
		for kind, call := range bothKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var begun, ended atomic.Int32
				d := delays{counting{&begun, &ended}, make(chan bool, 2)}
				c := failing(0, codes.OK).client(t, policy(js), callboard.WithStatsHandler(d))
				for _, want := range []bool{true, false} {
					if err := call(bounded(t), c); err != nil {
						t.Fatal(err)
					}
					if got := <-d.seen; got != want {
						t.Errorf("delayed is %t, want %t", got, want)
					}
				}
			})
		}
	}
}
