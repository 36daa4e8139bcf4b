package callboard

import (
	"time"

	"github.com/callboard-rpc/callboard/conn"
)

// Failure is what a supervisor is told when a connection cannot be made or is
// lost: which actor, what kind, the cause chain, the connection's epoch, how
// often in which window, and what Default would do.
type Failure = conn.Failure

// FailureKind says what went wrong with a connection.
type FailureKind = conn.FailureKind

// Kinds of Failure.
const (
	DialFailed       = conn.DialFailed       // the address could not be reached
	HandshakeFailed  = conn.HandshakeFailed  // TLS did not succeed
	HandshakeTimeout = conn.HandshakeTimeout // TLS or the first SETTINGS took too long
	PeerSilent       = conn.PeerSilent       // keepalive's PING stayed unanswered
	PeerGone         = conn.PeerGone         // the socket ended or broke
	PeerGoAway       = conn.PeerGoAway       // the peer sent GOAWAY
	ProtocolBroken   = conn.ProtocolBroken   // the peer broke HTTP/2 or a limit
	Panicked         = conn.Panicked         // an actor of ours panicked
)

// Directive is a supervisor's answer to a Failure.
type Directive = conn.Directive

// SupervisionOption is a DialOption, a ServerOption and a SystemOption.
type SupervisionOption struct{ supervise conn.Supervisor }

// WithSupervision lets f decide what happens when a connection cannot be made
// or is lost. On a system it is the default of all its clients and servers. f
// is called on the supervising actor's turn, in order, and must not block:
// connections wait for it, and for a while so does Close. If it panics, the
// answer is Default. On a server it only watches: a lost client is not
// reconnected. RestartBudget, FlapWindow, OnKind, First and others are policies
// to compose it of.
func WithSupervision(f func(Failure) Directive) SupervisionOption {
	return SupervisionOption{supervise: f}
}

// supervisor is what the channel's subchannels ask: the user's function if there
// is one, and whoever has subscribed hears of the answer.
func (s *System) supervisor(user conn.Supervisor) conn.Supervisor {
	return func(f Failure) (d Directive) {
		f.Complete(time.Now())
		// Also when the user's function panics: Default is what happens then.
		defer func() {
			s.publish(SupervisionDecision{Origin: Origin{At: f.At, Actor: f.Path}, Failure: f, Directive: d})
		}()
		if user == nil {
			return d
		}
		return user(f)
	}
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
