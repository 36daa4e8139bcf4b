package callboard

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
)

// channelEdge is what RPCs see of their channel: the picker, without a lock and
// without a message.
type channelEdge struct {
	now      atomic.Pointer[pickerEpoch]
	tell     actors.Ref[any]
	flips    sync.Mutex // orders set against itself; never taken by an RPC
	known    atomic.Bool
	resolves chan struct{} // closed when the resolver has said something for the first time
}

// pickerEpoch is a picker and how long it is in force.
type pickerEpoch struct {
	picker     *balancer.Picker
	superseded chan struct{} // closed when there is a newer one
}

func newChannelEdge() *channelEdge {
	e := &channelEdge{resolves: make(chan struct{})}
	e.now.Store(&pickerEpoch{picker: &balancer.Picker{State: connectivity.Idle}, superseded: make(chan struct{})})
	return e
}

func (e *channelEdge) set(p *balancer.Picker) {
	e.flips.Lock()
	defer e.flips.Unlock()
	old := e.now.Swap(&pickerEpoch{picker: p, superseded: make(chan struct{})})
	close(old.superseded)
}

// resolved says that the resolver has answered or failed. The channel calls it.
func (e *channelEdge) resolved() {
	if !e.known.Swap(true) {
		close(e.resolves)
	}
}

// awaitResolved waits until the resolver has answered or failed for the first
// time, and makes an idle channel ask it.
func (e *channelEdge) awaitResolved(ctx context.Context) (waited bool, err error) {
	for !e.known.Load() {
		ep := e.now.Load()
		switch ep.picker.State {
		case connectivity.Shutdown:
			return waited, nil // pick says so
		case connectivity.Idle:
			e.tell.Tell(&connect{})
		default:
		}
		waited = true
		select {
		case <-e.resolves:
		case <-ep.superseded:
		case <-ctx.Done():
			return waited, e.gaveUp(ctx, ep.picker.State, ep.picker.Err)
		}
	}
	return waited, nil
}

// pick chooses a connection for an RPC, waiting for one if need be. Unless the
// RPC is wait-for-ready it fails when the channel is in TRANSIENT_FAILURE.
func (e *channelEdge) pick(ctx context.Context, waitForReady bool) (balancer.Conn, error) {
	if ref, ok, _ := e.now.Load().picker.Pick(); ok && ref.Up() {
		return ref, nil
	}
	return e.pickSlow(ctx, waitForReady)
}

func (e *channelEdge) pickSlow(ctx context.Context, waitForReady bool) (balancer.Conn, error) {
	var last error
	for {
		ep := e.now.Load()
		p := ep.picker
		ref, ok, err := p.Pick()
		switch {
		case ok && ref.Up():
			return ref, nil
		case p.State == connectivity.Shutdown:
			return balancer.Conn{}, status.Errorf(codes.Canceled, "%s: %v", e.path(), p.Err)
		case err != nil && !waitForReady:
			return balancer.Conn{}, status.Errorf(codes.Unavailable, "%s: no connection: %v", e.path(), err)
		case p.State == connectivity.Idle:
			e.tell.Tell(&connect{})
		}
		if p.Err != nil {
			last = p.Err
		}
		select {
		case <-ep.superseded:
		case <-ctx.Done():
			return balancer.Conn{}, e.gaveUp(ctx, p.State, last)
		}
	}
}

// gaveUp says why an RPC that ended while it waited for a connection had none.
func (e *channelEdge) gaveUp(ctx context.Context, st connectivity.State, last error) error {
	s := status.FromContextError(ctx.Err())
	why := "the channel is " + st.String()
	if last != nil {
		why += ", last error: " + last.Error()
	}
	return status.Errorf(s.Code(), "%v while waiting for a connection of %s: %s", ctx.Err(), e.path(), why)
}

func (e *channelEdge) path() string {
	if p := e.tell.Probe(); p != nil {
		return p.Path()
	}
	return "channel"
}

// awaitAnother waits until the picker no longer offers a connection that is
// known to be over, so that the next attempt finds another.
func (e *channelEdge) awaitAnother(ctx context.Context, ref balancer.Conn) {
	if ref.Up() {
		return
	}
	for {
		ep := e.now.Load()
		if r, ok, _ := ep.picker.Pick(); !ok || r != ref {
			return
		}
		select {
		case <-ep.superseded:
		case <-ctx.Done():
			return
		}
	}
}
