package balancer

import (
	"net"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/resolver"
)

// In, to the balancer, beside *resolver.Failed from the channel.

// Update is what the resolver offers, and the policy that is to deal with it.
// The channel sends it.
type Update struct {
	*resolver.Update
	Choice        policy.Choice // the zero Choice: the default policy
	HealthService *string       // subchannels that check health watch it (gRFC A17), "" being the whole server; nil: none does
}

// Connect asks for connections: by the channel when an RPC waits or the
// application wants one, by the balancer to a subchannel.
type Connect struct {
	Now bool // the application asks: attempts that a supervisor has stopped begin at once
}

// ResetBackoff lets the next attempts start at once.
type ResetBackoff struct{}

// Stop ends the balancer's subchannels, then the receiver itself. RPCs in flight
// get CANCELLED with Reason, or finish, if Drain is set; one Stop without it may
// follow one with it.
type Stop struct {
	Reason string
	Drain  bool // the channel is idle; only the balancer gets it
}

// Recovered says that the balancer has panicked and goes on. The channel, which
// supervises it, sends it; the policies are rebuilt.
type Recovered struct{ Reason any }

// Changed is a subchannel's new state. Subchannels send it to the balancer.
type Changed struct {
	Subchannel uint64
	State      connectivity.State
	Err        error     // when in TRANSIENT_FAILURE, or IDLE after a loss
	Held       bool      // a supervisor has stopped the attempts until somebody asks
	Until      time.Time // a supervisor wants no attempt before; zero: does not care
	Situation  Situation
	forDead    bool // the balancer says it itself, of a subchannel without an actor
}

// Healthy is a report of a health check that a hosted policy listens to.
// Subchannels send it to the balancer.
type Healthy struct {
	Subchannel uint64
	State      connectivity.State
	Err        error
}

// Loaded is an out-of-band load report. Subchannels send it to the balancer.
type Loaded struct {
	Subchannel uint64
	Report     *policy.Load
}

// Awake says that a READY subchannel has a connection again for RPCs that found
// theirs gone. Subchannels send it to the balancer.
type Awake struct{ Subchannel uint64 }

// wanted is an RPC's wish for what its picker found IDLE.
type wanted struct{ w *policy.Wanted }

// poked says that a hosted policy has something to say. It comes on goroutines
// of that policy.
type poked struct{}

// woken, look and respawn are the balancer's own timers.
type (
	woken   struct{ gen uint64 }
	look    struct{ gen uint64 }
	respawn struct {
		id  uint64
		gen uint64
	}
)

// Out, to the channel.

// Published is the balancer's new picker.
type Published struct {
	From   actors.Ref[any] // the balancer: the channel may have another by now
	Picker *Picker         // nil: the one in force stays
	// Resolve says that a policy wants the resolver to look again.
	Resolve bool
}

// Unused says that the channel had no RPC in flight for the idle timeout.
type Unused struct{ From actors.Ref[any] }

// In, to a subchannel, beside Connect, ResetBackoff, Stop and the connection's
// Ready, Crowded, GoAway and Down.

// Addresses are where the subchannel connects to, in the order of preference.
// Only hosted policies change them.
type Addresses struct{ List []grpcresolver.Address }

// Remove ends the subchannel gently: RPCs in flight finish.
type Remove struct{}

// News says that the resolver offers something new: escalated failures end.
type News struct{}

// Release lets attempts begin that a supervisor has stopped; by themselves only
// when their backoff is over, unless the application asks for it.
type Release struct{ Now bool }

// Watch says what health service is watched. The balancer sends it.
type Watch struct {
	Service *string // nil: none
	Listen  bool    // reports go to the balancer instead of into the state
}

// Report asks for out-of-band load reports; 0 ends them.
type Report struct{ Interval time.Duration }

// dialled is the dial's result. The dial's goroutine sends it.
type dialled struct {
	attempt int
	extra   bool
	addr    grpcresolver.Address
	nc      net.Conn
	auth    credentials.AuthInfo
	err     error
	kind    conn.FailureKind
}

// health is what the health check found out. Its goroutine sends it.
type health struct {
	watch int // which check
	state connectivity.State
	err   error
}

// expired and rescale are the subchannel's own timers.
type (
	expired struct{ gen uint64 }
	rescale struct{ gen uint64 }
)
