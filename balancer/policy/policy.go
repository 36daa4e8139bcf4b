// Package policy holds the load balancing policies as pure machines, one file
// each: endpoints and connectivity states in, subchannels and a picker out.
//
// A policy owns no socket, clock, goroutine or random source. The balancer actor
// steps it, performs the Effects and publishes the picker. Containers (priority,
// weighted_target, outlier_detection, the switch between two policies) step
// their children in the same way, so any policy can be a child of any other,
// also one of grpc-go's that the balancer hosts.
//
//	resolver.Update ─┐                      ┌─> Create, Connect, Remove ─> subchannels
//	Changed, Loaded ─┼─> Step(ev, now, fx) ─┼─> Publish ─> channel ─> every RPC's Pick
//	Tick, ExitIdle ──┘                      └─> Wake, Resolve, Report
package policy

import (
	"encoding/json"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// Policy decides which subchannels there are and which of them serves an RPC.
type Policy interface {
	// Step takes one event. It is total: an event that means nothing in the
	// policy's state changes nothing. Events of one policy never overlap.
	Step(ev Event, now time.Time, fx *Effects)
}

// Event is one of the types below.
type Event interface{ event() }

type (
	// Update is what the resolver offers now, with the policy's parsed
	// configuration. The first event of a policy is an Update or Failed.
	Update struct {
		Endpoints []resolver.Endpoint // may be empty
		Config    Config              // of the type the policy's Builder parses; nil: its default
		Hosted    resolver.State      // whole, for policies of grpc-go
	}
	// Failed says that resolving did not succeed. Earlier endpoints stay good.
	Failed struct{ Err error }
	// Changed is the new state of a subchannel the policy created. After
	// TRANSIENT_FAILURE a subchannel becomes IDLE by itself when its backoff is
	// over; it connects only when it is asked to. After SHUTDOWN nothing follows.
	Changed struct {
		Subchannel *Subchannel
		State      connectivity.State
		Err        error // in TRANSIENT_FAILURE: why; in IDLE: what ended the connection, or nil
	}
	// Loaded is an out-of-band load report (gRFC A51) of a subchannel that the
	// policy asked one of.
	Loaded struct {
		Subchannel *Subchannel
		Report     *Load
	}
	// ExitIdle says that an RPC waits, or that the channel was asked to connect.
	ExitIdle struct{}
	// ResetBackoff says that subchannels were told to try again at once.
	ResetBackoff struct{}
	// Tick says that the time asked for with Effects.Wake has come, or passed.
	// There is one clock for a whole tree of policies: whoever still waits for a
	// later time asks again.
	Tick struct{}
	// Close ends the policy: it removes its subchannels. Nothing follows.
	Close struct{}
)

func (*Update) event()       {}
func (*Failed) event()       {}
func (*Changed) event()      {}
func (*Loaded) event()       {}
func (*ExitIdle) event()     {}
func (*ResetBackoff) event() {}
func (*Tick) event()         {}
func (*Close) event()        {}

// Config is a policy's parsed configuration. It is immutable.
type Config any

// Effects are what a step asks for. The balancer performs them in the order of
// the fields and reuses the value for the next step.
type Effects struct {
	Host Host

	Create  []Create
	Connect []*Subchannel // those that are IDLE begin to connect; others ignore it
	Remove  []*Subchannel // shut down: no new RPCs, those in flight finish
	Report  []Report
	Publish *State    // nil: the picker in force stays. The last one of a step counts.
	Resolve bool      // ask the resolver to look again
	Wake    time.Time // zero: nothing new is wanted; an earlier wish stays until its Tick
}

// Host is what a policy may call. Its methods may be called during a step only.
type Host interface {
	// NewSubchannel returns a handle nobody else has. It becomes a subchannel by
	// Effects.Create.
	NewSubchannel() *Subchannel
	// Rand is a random number in [0, 1<<63).
	Rand() uint64
}

// Create asks for a subchannel. It is IDLE until asked to connect, and says so
// with a first Changed.
type Create struct {
	Subchannel *Subchannel
	Addresses  []resolver.Address // tried in this order as one attempt; own policies give one
	NoHealth   bool               // READY does not wait for the health check (gRFC A17)
}

// Report asks for out-of-band load reports of a subchannel while it is READY.
type Report struct {
	Subchannel *Subchannel
	Interval   time.Duration // 0: no more
}

// State is a policy's connectivity state and the picker that goes with it.
type State struct {
	Connectivity connectivity.State
	Picker       Picker
}

// NewSubchannel asks for a subchannel and returns its handle.
func (fx *Effects) NewSubchannel(addrs ...resolver.Address) *Subchannel {
	s := fx.Host.NewSubchannel()
	fx.Create = append(fx.Create, Create{Subchannel: s, Addresses: addrs})
	return s
}

// SetState publishes a picker.
func (fx *Effects) SetState(s connectivity.State, p Picker) {
	fx.Publish = &State{Connectivity: s, Picker: p}
}

// WakeAt asks for a Tick not before t; the earliest of a step counts.
func (fx *Effects) WakeAt(t time.Time) {
	if fx.Wake.IsZero() || t.Before(fx.Wake) {
		fx.Wake = t
	}
}

// Reset empties fx for the next step. Capacity is kept.
func (fx *Effects) Reset() {
	clear(fx.Create)
	clear(fx.Connect)
	clear(fx.Remove)
	clear(fx.Report)
	*fx = Effects{Host: fx.Host, Create: fx.Create[:0], Connect: fx.Connect[:0], Remove: fx.Remove[:0], Report: fx.Report[:0]}
}

// Subchannel is a policy's handle on one subchannel: identity, and what the
// pickers that hold it need on the path of an RPC.
type Subchannel struct {
	ID uint64 // unique in a balancer
	// Edge is the balancer's: what it reads connections from. Policies never
	// touch it, nor does a policy's test need it.
	Edge any
}

// Builder makes policies of one name.
type Builder struct {
	Name string // as loadBalancingConfig has it
	// Parse reads the policy's JSON configuration; children's are looked up in
	// r. It reports what is invalid, with the field's name.
	Parse func(js json.RawMessage, r Registry) (Config, error)
	New   func(r Registry) Policy
}

// Registry finds policies by name: ours and those of grpc-go that can be hosted.
type Registry interface {
	Lookup(name string) (Builder, bool)
}
