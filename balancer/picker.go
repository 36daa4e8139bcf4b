package balancer

import (
	"math/rand/v2"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// Picker is an immutable snapshot of what RPCs pick from, read without a lock or
// a message.
type Picker struct {
	State connectivity.State
	Err   error // the last failure, if it has not been overcome; RPCs that wait in vain say so
	// Subchannels are what RPCs that end in vain may tell of; nil when READY.
	Subchannels []Situation

	policy policy.Picker // nil: RPCs wait
	tell   actors.Ref[any]
}

// Picked is a connection and what the picker wants with it.
type Picked struct {
	Conn       Conn
	Subchannel *policy.Subchannel
	Done       policy.Done // nil: nobody wants to hear of the end
	Metadata   metadata.MD // for the request
}

// Drop is a picker's verdict on an RPC, also on one that is wait-for-ready.
type Drop struct{ Status *status.Status }

// Error implements error.
func (d *Drop) Error() string { return d.Status.Message() }

// GRPCStatus makes it a status error.
func (d *Drop) GRPCStatus() *status.Status { return d.Status }

// Pick chooses a connection. ok is false when the RPC has to wait for the next
// picker; err is set when one that is not wait-for-ready fails instead, and a
// *Drop when any does.
func (p *Picker) Pick(info *policy.PickInfo) (k Picked, ok bool, err error) {
	if p.policy == nil {
		return Picked{}, false, nil
	}
	if info.Rand == nil {
		info.Rand = random
	}
	c := p.policy.Pick(info)
	if c.Wanted != nil && c.Wanted.Ask() {
		p.tell.Tell(&wanted{w: c.Wanted})
	}
	switch {
	case c.Subchannel != nil:
		e, own := c.Subchannel.Edge.(*edge)
		if own {
			k.Conn, ok = e.pick(info.Rand)
		}
		if !ok {
			if c.Done != nil {
				c.Done.Done(c.Subchannel, policy.DoneInfo{Abandoned: true})
			}
			return Picked{}, false, nil
		}
		k.Subchannel, k.Done, k.Metadata = c.Subchannel, c.Done, c.Metadata
		return k, true, nil
	case c.Err != nil:
		return Picked{}, false, verdict(c.Err)
	default:
		return Picked{}, false, nil
	}
}

// verdict makes a Drop of an error that is itself a status. One that only wraps
// a status is a failure like others: it may come from a dialer.
func verdict(err error) error {
	s, ok := err.(interface{ GRPCStatus() *status.Status })
	if !ok {
		return err
	}
	st := s.GRPCStatus()
	if st == nil || reserved(st.Code()) {
		st = status.Newf(codes.Internal, "the load balancing policy returned %v: %v", st.Code(), err)
	}
	return &Drop{Status: st}
}

// reserved says that a code is the server's to give: the control plane's become
// INTERNAL (gRFC A54).
func reserved(c codes.Code) bool {
	switch c {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
		codes.Aborted, codes.OutOfRange, codes.DataLoss, codes.OK:
		return true
	default:
		return false
	}
}

func random() uint64 { return rand.Uint64() >> 1 }

// NewPicker is a picker without a policy: RPCs wait, or fail with err in
// TRANSIENT_FAILURE.
func NewPicker(s connectivity.State, err error) *Picker {
	p := &Picker{State: s, Err: err}
	if s == connectivity.TransientFailure && err != nil {
		p.policy = policy.Failing{Err: err}
	}
	return p
}
