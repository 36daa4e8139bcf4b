package callboard

import (
	"time"

	"github.com/callboard-rpc/callboard/conn"
)

// Failure is what a supervisor is told when a connection cannot be made or is
// lost: which actor, what kind, the cause chain, the connection's epoch, and
// how often in which window.
type Failure = conn.Failure

// FailureKind says what went wrong with a connection.
type FailureKind = conn.FailureKind

// Kinds of Failure.
const (
	DialFailed      = conn.DialFailed
	HandshakeFailed = conn.HandshakeFailed
	PeerSilent      = conn.PeerSilent
	PeerGone        = conn.PeerGone
	PeerGoAway      = conn.PeerGoAway
	ProtocolBroken  = conn.ProtocolBroken
	Panicked        = conn.Panicked
)

// Directive is a supervisor's answer to a Failure.
type Directive = conn.Directive

// SupervisionOption is a DialOption, a ServerOption and a SystemOption.
type SupervisionOption struct{ supervise conn.Supervisor }

// WithSupervision lets f decide what happens when a connection cannot be made
// or is lost. On a system it is the default of all its clients and servers. f
// is called on the supervising actor's turn, in order, and must not block. On
// a server it only watches: a lost client is not reconnected.
func WithSupervision(f func(Failure) Directive) SupervisionOption {
	return SupervisionOption{supervise: f}
}

func (s SupervisionOption) applyClient(o *dialOptions)   { o.supervise = s.supervise }
func (s SupervisionOption) applyServer(o *serverOptions) { o.supervise = s.supervise }
func (s SupervisionOption) applySystem(o *systemOptions) { o.supervise = s.supervise }

// Default lets gRPC's connection backoff decide.
func Default() Directive { return Directive{} }

// Reconnect asks for the next attempt after d; 0 means at once.
func Reconnect(d time.Duration) Directive {
	return Directive{Decision: conn.DecideReconnect, After: d}
}

// Stop ends the attempts until the channel is asked to connect.
func Stop() Directive { return Directive{Decision: conn.DecideStop} }

// Escalate fails the channel's RPCs with the cause until the resolver offers
// something new or the channel's backoff is reset.
func Escalate() Directive { return Directive{Decision: conn.DecideEscalate} }

// Quarantine keeps away from the address for d.
func Quarantine(d time.Duration) Directive {
	return Directive{Decision: conn.DecideQuarantine, After: d}
}
