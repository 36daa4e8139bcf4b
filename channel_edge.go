package callboard

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/balancer/policy"
)

// channelEdge is what RPCs see of their channel: the picker, without a lock and
// without a message.
type channelEdge struct {
	now      atomic.Pointer[pickerEpoch]
	tell     actors.Ref[any]
	asked    atomic.Bool   // connect is on its way
	waiting  atomic.Int64  // RPCs that wait for a connection
	known    atomic.Bool   // the resolver has said something
	resolves chan struct{} // closed when known becomes true
	target   string        // as given to NewClient
	around   surroundings
}

// pickerEpoch is a picker and how long it is in force.
type pickerEpoch struct {
	picker     *balancer.Picker
	superseded chan struct{} // closed when there is a newer one
	left       chan struct{} // closed when the picker's state is left; epochs in a row share it
}

func newChannelEdge(target string) *channelEdge {
	e := &channelEdge{target: target, resolves: make(chan struct{})}
	e.now.Store(&pickerEpoch{
		picker: balancer.NewPicker(connectivity.Idle, nil), superseded: make(chan struct{}), left: make(chan struct{}),
	})
	return e
}

// set puts a picker in force. Only the channel calls it, on its turn.
func (e *channelEdge) set(p *balancer.Picker) {
	old := e.now.Load()
	next := &pickerEpoch{picker: p, superseded: make(chan struct{}), left: old.left}
	changed := p.State != old.picker.State
	if changed {
		next.left = make(chan struct{})
	}
	e.now.Store(next)
	close(old.superseded)
	if changed {
		close(old.left)
	}
}

// awaitLeft waits until the state is not from any more, if only for a moment.
func (e *channelEdge) awaitLeft(ctx context.Context, from connectivity.State) bool {
	ep := e.now.Load()
	if ep.picker.State != from {
		return true
	}
	select {
	case <-ep.left:
		return true
	case <-ctx.Done():
		return false
	}
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
	if e.known.Load() {
		return false, nil
	}
	e.waiting.Add(1)
	defer e.waiting.Add(-1)
	var w stopwatch
	w.enter(Resolving, time.Now())
	for !e.known.Load() {
		ep := e.now.Load()
		switch ep.picker.State {
		case connectivity.Shutdown:
			return waited, nil // pick says so
		case connectivity.Idle:
			e.connect()
		default:
		}
		waited = true
		select {
		case <-e.resolves:
		case <-ep.superseded:
		case <-ctx.Done():
			return waited, e.gaveUp(ctx, ep.picker, ep.picker.Err, &w)
		}
	}
	return waited, nil
}

// pick chooses a connection for an attempt of an RPC, waiting for one if need
// be. Unless the RPC is wait-for-ready it fails where the picker has an error;
// what a picker drops fails in any case. Whoever picks says how it went:
// picked.finished.
func (e *channelEdge) pick(ctx context.Context, method string, waitForReady bool, w *stopwatch) (picked, error) {
	ep := e.now.Load()
	k, ok, err := choose(ctx, ep.picker, method)
	if ok {
		return k, nil
	}
	// What the picker has said counts: one that drops every tenth RPC must not
	// be asked twice.
	e.waiting.Add(1)
	defer e.waiting.Add(-1)
	var last error
	for {
		p := ep.picker
		var drop *balancer.Drop
		switch {
		case p.State == connectivity.Shutdown:
			return picked{}, e.closed(p.Err, w)
		case errors.As(err, &drop):
			return picked{}, drop.Status.Err()
		case err != nil && !waitForReady:
			return picked{}, e.noConnection(codes.Unavailable, nil, p, err, w)
		case p.State == connectivity.Idle:
			e.connect()
		}
		if p.Err != nil {
			last = p.Err
		}
		w.enter(e.stage(p), time.Now())
		select {
		case <-ep.superseded:
		case <-ctx.Done():
			return picked{}, e.gaveUp(ctx, p, last, w)
		}
		ep = e.now.Load()
		if k, ok, err = choose(ctx, ep.picker, method); ok {
			w.stop()
			return k, nil
		}
	}
}

// pickInfos are reused: a picker may look at one only during a pick.
var pickInfos = sync.Pool{New: func() any { return new(policy.PickInfo) }}

func choose(ctx context.Context, p *balancer.Picker, method string) (picked, bool, error) {
	info := pickInfos.Get().(*policy.PickInfo)
	info.Ctx, info.Method = ctx, method
	k, ok, err := p.Pick(info)
	*info = policy.PickInfo{}
	pickInfos.Put(info)
	if !ok {
		return picked{}, false, err
	}
	return picked{Conn: k.Conn, subchannel: k.Subchannel, done: k.Done, metadata: k.Metadata}, true, nil
}

// connect makes an idle channel connect. However many RPCs ask, it is one
// message at a time.
func (e *channelEdge) connect() {
	if !e.asked.Swap(true) {
		e.tell.Tell(&connect{})
	}
}

// gaveUp says why an RPC that ended while it waited for a connection had none.
func (e *channelEdge) gaveUp(ctx context.Context, p *balancer.Picker, last error, w *stopwatch) error {
	return e.noConnection(status.FromContextError(ctx.Err()).Code(), ctx.Err(), p, last, w)
}

func (e *channelEdge) path() string {
	if p := e.tell.Probe(); p != nil {
		return p.Path()
	}
	return "channel"
}
