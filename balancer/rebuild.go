package balancer

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// quietAfterPanic is how long a balancer is well before its next panic counts as
// the first.
const quietAfterPanic = 5 * time.Minute

// recovered: some Receive has panicked. Unless it was a policy's step, nothing is
// known to be wrong with the policies, but nothing is known to be right either:
// they are built anew, after a pause.
func (b *balancer) recovered(m *Recovered) {
	if b.stopping {
		return
	}
	b.broken = true
	if now := time.Now(); now.Sub(b.panicked) > quietAfterPanic {
		b.panics = 0
	}
	b.panicked = time.Now()
	b.panics++
	b.lastErr = fmt.Errorf("the load balancing policy has panicked: %v", m.Reason)
	if b.picker == nil || b.picker.State != connectivity.Ready {
		b.shadow = false
		b.publish(policy.State{Connectivity: connectivity.TransientFailure, Picker: policy.Failing{Err: b.lastErr}})
	}
	b.timer.Reset(actors.GRPCBackoff.Delay(b.panics))
}

// rebuild plants a new tree. Its subchannels are new ones; those of the old tree
// serve until it is READY, or as long as they can.
func (b *balancer) rebuild(ctx actor.Context) {
	b.broken = false
	b.generation++
	b.wake = time.Time{}
	b.root = policy.NewSwitch(b.registry)
	b.host.abandon()
	b.shadow = b.picker != nil && b.picker.State == connectivity.Ready && b.anyReady()
	if !b.shadow {
		b.endShadow()
	}
	if b.last != nil {
		b.step(ctx, policyUpdate(b.last))
	}
	if b.lastFailed != nil {
		b.step(ctx, &policy.Failed{Err: b.lastFailed.Err})
	}
}

// endShadow lets the subchannels of older trees go.
func (b *balancer) endShadow() {
	b.shadow = false
	for _, c := range b.subs {
		if c.generation != b.generation && !c.removed {
			b.remove(c)
		}
	}
}

// shadowFaded looks whether anything of the old tree still serves.
func (b *balancer) shadowFaded() {
	if b.shadow && !b.anyReady() {
		b.endShadow()
		b.force()
	}
}

// anyReady says whether a subchannel of an older tree is READY.
func (b *balancer) anyReady() bool {
	for _, c := range b.subs {
		if c.generation != b.generation && !c.removed && c.state == connectivity.Ready {
			return true
		}
	}
	return false
}
