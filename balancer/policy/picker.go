package policy

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"
)

// Picker is an immutable snapshot from which every RPC picks, concurrently,
// without a lock and without a message. What it counts is atomic.
type Picker interface {
	Pick(*PickInfo) Pick
}

// PickInfo is what a pick may depend on. The picker must not keep it.
type PickInfo struct {
	Ctx    context.Context // the RPC's; outgoing metadata is in it
	Method string          // "/service/method"
	Rand   func() uint64   // in [0, 1<<63); safe for concurrent use
	// Outgoing is the outgoing metadata of Ctx when the caller has it at hand,
	// which saves a picker that hashes a header a copy of all of it.
	Outgoing metadata.MD
}

// Pick is the answer: a subchannel, or an error, or neither, which means that
// the RPC waits for the next picker.
type Pick struct {
	Subchannel *Subchannel
	// Err fails an RPC that is not wait-for-ready, with UNAVAILABLE. One with a
	// gRPC status of its own fails every RPC with that status (a drop; gRFC A54
	// limits its codes).
	Err error
	// Done hears of the RPC's end when it was sent to Subchannel; nil: nobody
	// wants to.
	Done Done
	// Metadata is added to the request.
	Metadata metadata.MD
	// Wanted, when set, is what the RPC would rather use and that is IDLE, with
	// Subchannel or without one. Whoever picked steps the policy with it, if Ask
	// allows. A picker over pickers hands it on as it is.
	Wanted *Wanted
}

// Wanted asks a policy that is IDLE, somewhere in the tree, to connect because
// of one pick. It is an Event: a parent hands it to all its children, and the one
// that made it connects. One that is no longer current means nothing.
type Wanted struct{ asked atomic.Bool }

func (*Wanted) event() {}

// Ask says whether w still has to be told to the policy: true for the first
// caller, so that a thousand RPCs that wait are one event.
func (w *Wanted) Ask() bool { return !w.asked.Load() && w.asked.CompareAndSwap(false, true) }

// Done hears how an RPC went. It is called once for every pick that had one,
// on the RPC's goroutine.
type Done interface {
	Done(*Subchannel, DoneInfo)
}

// DoneInfo is how an RPC went.
type DoneInfo struct {
	Err       error // nil: OK
	Sent      bool  // octets of it left
	Received  bool  // octets of the response came
	Trailer   metadata.MD
	Load      *Load // from the trailer's endpoint-load-metrics-bin (gRFC A51), or nil
	Latency   time.Duration
	Abandoned bool // the pick was not used: the connection was gone
}

// Load is a backend's load report (gRFC A51, OrcaLoadReport).
type Load struct {
	CPU          float64 // utilisation, 1 is all of it; may exceed 1
	Memory       float64 // in [0, 1]
	Application  float64
	QPS, EPS     float64
	Utilization  map[string]float64
	RequestCost  map[string]float64
	NamedMetrics map[string]float64
}

// Wait is a picker for RPCs to wait with.
var Wait Picker = waitPicker{}

type waitPicker struct{}

func (waitPicker) Pick(*PickInfo) Pick { return Pick{} }

// Failing is a picker with an error for RPCs that do not wait.
type Failing struct{ Err error }

// Pick implements Picker.
func (f Failing) Pick(*PickInfo) Pick { return Pick{Err: f.Err} }
