package conn

import (
	"errors"
	"fmt"
	"time"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
)

// FailureKind says what went wrong with a connection.
type FailureKind uint8

// Kinds of Failure.
const (
	DialFailed      FailureKind = iota + 1 // the address could not be reached
	HandshakeFailed                        // the transport's handshake (TLS) did not succeed
	PeerSilent                             // keepalive or the first SETTINGS stayed out
	PeerGone                               // the socket ended or broke
	PeerGoAway                             // the peer sent GOAWAY and the connection is drained
	ProtocolBroken                         // the peer broke HTTP/2 or a limit; Cause is a *frame.ConnError
	Panicked                               // one of our actors panicked; Cause is an *actors.Panic
)

var failureNames = [...]string{"", "dial failed", "handshake failed", "peer silent", "peer gone", "go away", "protocol broken", "panic"}

func (k FailureKind) String() string {
	if int(k) < len(failureNames) {
		return failureNames[k]
	}
	return fmt.Sprintf("failure %d", uint8(k))
}

// Failure is what a supervisor is told when a connection cannot be made or is
// lost.
type Failure struct {
	Path   string // of the actor that failed: ".../subchannel-1/conn-4"
	Kind   FailureKind
	Cause  error         // the chain down to the transport's own error
	Epoch  int           // the number of the connection that failed, from 1
	Count  int           // failures of this subchannel in a row, this one included
	Window time.Duration // how long that row is
	GoAway *frame.GoAway // what the peer said, if it did
	Next   time.Duration // what Default would wait before the next attempt
}

// Decision is what to do about a Failure.
type Decision uint8

// Decisions.
const (
	DecideDefault    Decision = iota // gRPC's backoff
	DecideReconnect                  // after Directive.After, 0: at once
	DecideStop                       // no further attempts until the channel is told to connect
	DecideEscalate                   // the channel fails: its RPCs get the cause, until the resolver offers something new
	DecideQuarantine                 // no attempts for Directive.After, then as usual
)

// Directive is a supervisor's answer to a Failure.
type Directive struct {
	Decision Decision
	After    time.Duration
}

// Supervisor decides what happens after a Failure. It is called on the
// supervising actor's turn, in order, and must not block.
type Supervisor func(Failure) Directive

// KindOf classifies the end of a connection by its cause.
func KindOf(err error) FailureKind {
	var (
		pan *actors.Panic
		hs  *HandshakeError
		ce  *frame.ConnError
	)
	switch {
	case errors.As(err, &pan):
		return Panicked
	case errors.As(err, &hs):
		return HandshakeFailed
	case errors.As(err, &ce) && (ce.Code == frame.NoError || ce.Code == frame.SettingsTimeout):
		return PeerSilent // no rule was broken: an answer stayed out
	case errors.As(err, &ce) && ce.Blame == frame.Remote:
		return ProtocolBroken
	default:
		return PeerGone
	}
}
