package balancer

import (
	"net"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/conn"
)

// In, to the balancer, beside *resolver.Update and *resolver.Failed from the
// channel.

// Connect asks for a connection where there is none: by the channel when an
// RPC waits, by the balancer to a subchannel.
type Connect struct{}

// ResetBackoff lets the next attempts start at once.
type ResetBackoff struct{}

// Stop ends the balancer's subchannels and closes their connections, then the
// receiver itself. RPCs get CANCELLED with Reason.
type Stop struct{ Reason string }

// Changed is a subchannel's new state. Subchannels send it to the balancer.
type Changed struct {
	Subchannel int
	State      connectivity.State
	Conn       Conn  // when READY
	Err        error // when in TRANSIENT_FAILURE, or IDLE after a loss
	Lost       bool  // a connection that was READY is gone: the resolver may know why
}

// Out, to the channel.

// Published is the balancer's new picker.
type Published struct {
	Picker  *Picker
	Resolve bool // a connection was lost or could not be made: resolve again
}

// In, to a subchannel, beside Connect, ResetBackoff, Stop and the connection's
// Ready, GoAway and Down.

// Addresses are where the subchannel connects to, in the order of preference.
type Addresses struct{ List []resolver.Address }

// dialled is the dial's result. The dial's goroutine sends it.
type dialled struct {
	attempt int
	addr    resolver.Address
	nc      net.Conn
	auth    credentials.AuthInfo
	err     error
	kind    conn.FailureKind
}

// replace is the balancer's own timer.
type replace struct{ gen uint64 }

// expired is the subchannel's own timer.
type expired struct{ gen uint64 }
