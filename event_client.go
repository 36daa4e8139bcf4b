package callboard

import (
	"net"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// ChannelState is a channel's new connectivity state.
type ChannelState struct {
	Origin
	From, To connectivity.State
	Err      error // why, in TRANSIENT_FAILURE
}

// SubchannelState is the new state of one of a channel's subchannels.
type SubchannelState struct {
	Origin
	Address     string // the one it is about; empty: it has tried none yet
	From, To    connectivity.State
	Err         error     // in TRANSIENT_FAILURE why; in IDLE what ended the connection, or nil
	NextAttempt time.Time // in TRANSIENT_FAILURE, when its backoff is over; zero: nobody knows
}

// ConnectionUp says that a client's connection may be used: the peer's SETTINGS
// have arrived.
type ConnectionUp struct {
	Origin
	Epoch       int // the subchannel's connections are numbered from 1
	Local, Peer net.Addr
}

// ConnectionDown says that a client's connection is over.
type ConnectionDown struct {
	Origin
	Epoch int
	Peer  net.Addr      // nil: it never got that far
	Kind  FailureKind   // 0: it was closed on purpose
	Cause error         // nil: as Kind
	Up    bool          // ConnectionUp came before
	Lived time.Duration // since it was dialled
}

// GoAwayReceived says that a server announced the end of a connection. RPCs it
// has begun go on (RFC 9113 6.8).
type GoAwayReceived struct {
	Origin
	Epoch        int
	Code         frame.ErrCode
	Debug        string // as the peer wrote it: any octets, at most frame.MaxDebugData
	LastStreamID uint32
}

// ResolverUpdated says that a resolver had an answer.
type ResolverUpdated struct {
	Origin
	Endpoints int
	Changed   bool // other endpoints than before
}

// ResolverFailed says that resolving did not succeed. What was resolved before
// stays good.
type ResolverFailed struct {
	Origin
	Err error
}

// ServiceConfigRejected says that a resolver's service config is invalid. The
// one in force stays.
type ServiceConfigRejected struct {
	Origin
	Err error
}

// PolicySwitched says that a channel balances its load by another policy now.
type PolicySwitched struct {
	Origin
	From, To string // names as in loadBalancingConfig; From is empty for the first
}

// SupervisionDecision says that a connection could not be made or was lost, and
// what the supervisor decided. On a server there is nothing to decide.
type SupervisionDecision struct {
	Origin
	Failure   Failure
	Directive Directive
}
