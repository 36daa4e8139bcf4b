package callboard

import (
	"context"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
)

// Whoever waits for a state to end hears of it also when the channel is back in
// that state before the waiter runs again.
func TestStateThatComesBackHasChanged(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the waiter gets its turn when both are through
	synctest.Test(t, func(t *testing.T) {
		cc := &ClientConn{edge: newChannelEdge("test")}
		changed := make(chan bool, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			changed <- cc.WaitForStateChange(ctx, connectivity.Idle)
		}()
		synctest.Wait()
		cc.edge.set(balancer.NewPicker(connectivity.Connecting, nil))
		cc.edge.set(balancer.NewPicker(connectivity.Idle, nil))
		if !<-changed {
			t.Error("the change was missed")
		}
	})
}

// Another picker in the same state is no change of it.
func TestAnotherPickerIsNoChangeOfState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cc := &ClientConn{edge: newChannelEdge("test")}
		go func() {
			time.Sleep(time.Second)
			cc.edge.set(balancer.NewPicker(connectivity.Idle, nil))
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if cc.WaitForStateChange(ctx, connectivity.Idle) {
			t.Error("IDLE after IDLE counts as a change")
		}
	})
}

// Whoever hears that the channel has a state finds it in that state: what is
// said follows what is in force.
func TestStateIsInForceBeforeItIsSaid(t *testing.T) {
	sys, err := NewSystem()
	if err != nil {
		t.Fatal(err)
	}
	cc, err := sys.NewClient("passthrough:///nowhere", WithTransportCredentials(insecure.NewCredentials()),
		WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errNeverDials }))
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan connectivity.State, 100)
	sys.table.Observe(func(p *actors.Probe, tr actors.Transition, _ any) { // on the channel's turn
		if p.Kind() != "channel" || tr.From == tr.To {
			return
		}
		if is := cc.GetState().String(); is != tr.To {
			t.Errorf("said %s in %s", tr.To, is)
		}
		said <- stateNamed(tr.To)
	})
	cc.Connect()
	for st := range said {
		if st == connectivity.TransientFailure {
			break
		}
	}
	if err := sys.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
