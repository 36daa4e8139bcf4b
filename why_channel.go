package callboard

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/resolver"
)

// surroundings is what an RPC that has no connection looks at to say why, beside
// the picker.
type surroundings struct {
	resolver atomic.Pointer[actors.Probe] // nil: there is none yet
}

// resolverStatus is what the resolver shows; empty: nothing yet.
func (a *surroundings) resolverStatus() resolver.Status {
	if p := a.resolver.Load(); p != nil {
		if st, ok := p.Detail().(*resolver.Status); ok {
			return *st
		}
	}
	return resolver.Status{}
}

// stage is how far an RPC gets that has to wait for another picker than p.
func (e *channelEdge) stage(p *balancer.Picker) Stage {
	if !e.known.Load() {
		return Resolving
	}
	if len(p.Subchannels) == 0 {
		st := e.around.resolverStatus()
		if st.Looks == 0 {
			return Resolving // anew: the channel was idle
		}
		if p.State == connectivity.Connecting {
			return Connecting // the policy's first picker is older than its subchannels
		}
		if st.Err != nil {
			return Resolving
		}
		return Picking
	}
	if slices.ContainsFunc(p.Subchannels, func(s balancer.Situation) bool { return s.State == connectivity.Ready }) {
		return Picking
	}
	return Connecting
}

// noConnection is the error of an RPC that got none from p. last is the last
// error of a picker, or nil.
func (e *channelEdge) noConnection(code codes.Code, ended error, p *balancer.Picker, last error, w *stopwatch) error {
	why := Why{Stage: e.stage(p), Target: e.target, Path: e.path(), Elapsed: w.read(time.Now()), Cause: last}
	for _, s := range p.Subchannels {
		why.Subchannels = append(why.Subchannels, SubchannelWhy{
			Path: s.Path, Address: s.Address, State: s.State, LastError: s.Err, NextAttempt: s.Next,
		})
		if why.Cause == nil {
			why.Cause = s.Err
		}
	}
	if why.Cause == nil {
		why.Cause = e.around.resolverStatus().Err
	}
	return explained(code, ended, why)
}

// closed is the error of an RPC on a channel that is shut down.
func (e *channelEdge) closed(cause error, w *stopwatch) error {
	why := Why{Stage: Lost, Target: e.target, Path: e.path(), Elapsed: w.read(time.Now()), Cause: cause}
	return explainedStatus(status.Newf(codes.Canceled, "%s: %v", why.Path, cause), nil, why)
}
