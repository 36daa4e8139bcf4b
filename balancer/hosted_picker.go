package balancer

import (
	"errors"

	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// hostedPicker is a grpc-go picker as one of ours.
type hostedPicker struct {
	p    grpcbalancer.Picker
	load func(*policy.Load) any
}

// Pick implements policy.Picker.
func (h hostedPicker) Pick(info *policy.PickInfo) policy.Pick {
	if h.p == nil {
		return policy.Pick{}
	}
	r, err := h.p.Pick(grpcbalancer.PickInfo{FullMethodName: info.Method, Ctx: info.Ctx})
	if err != nil {
		return failedPick(err)
	}
	s, ok := r.SubConn.(*subConn)
	if !ok {
		return policy.Pick{} // not one of ours: nothing to send the RPC on
	}
	handle := s.handle.Load()
	if handle == nil {
		if r.Done != nil {
			r.Done(grpcbalancer.DoneInfo{})
		}
		return policy.Pick{}
	}
	pick := policy.Pick{Subchannel: handle, Metadata: r.Metadata}
	switch {
	case r.Done == nil:
	case h.load == nil:
		pick.Done = hostedDone(r.Done)
	default:
		pick.Done = &loadedDone{done: r.Done, load: h.load}
	}
	return pick
}

// failedPick: there a status is a verdict on the RPC, also one that is wrapped.
func failedPick(err error) policy.Pick {
	if errors.Is(err, grpcbalancer.ErrNoSubConnAvailable) {
		return policy.Pick{}
	}
	if st, ok := status.FromError(err); ok {
		return policy.Pick{Err: &Drop{Status: st}}
	}
	return policy.Pick{Err: err}
}

// hostedDone tells a grpc-go policy how an RPC went.
type hostedDone func(grpcbalancer.DoneInfo)

// Done implements policy.Done.
func (f hostedDone) Done(_ *policy.Subchannel, i policy.DoneInfo) { f(doneInfo(i)) }

// loadedDone is hostedDone with load reports.
type loadedDone struct {
	done func(grpcbalancer.DoneInfo)
	load func(*policy.Load) any
}

// Done implements policy.Done.
func (d *loadedDone) Done(_ *policy.Subchannel, i policy.DoneInfo) {
	info := doneInfo(i)
	if i.Load != nil {
		info.ServerLoad = d.load(i.Load)
	}
	d.done(info)
}

func doneInfo(i policy.DoneInfo) grpcbalancer.DoneInfo {
	return grpcbalancer.DoneInfo{Err: i.Err, Trailer: i.Trailer, BytesSent: i.Sent, BytesReceived: i.Received}
}
