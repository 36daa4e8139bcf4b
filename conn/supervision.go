package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
)

// FailureKind says what went wrong with a connection.
type FailureKind uint8

// Kinds of Failure.
const (
	DialFailed       FailureKind = iota + 1 // the address could not be reached; Cause reaches a syscall.Errno where there was one
	HandshakeFailed                         // the transport's handshake (TLS) did not succeed
	PeerSilent                              // a PING of keepalive or our SETTINGS stayed unanswered on a connection that was up
	PeerGone                                // the socket ended or broke
	PeerGoAway                              // the peer sent GOAWAY and the connection is drained; see Failure.GoAway
	ProtocolBroken                          // the peer broke HTTP/2 or a limit; Cause is a *frame.ConnError, see Failure.Clause
	Panicked                                // one of our actors panicked; Cause is an *actors.Panic
	HandshakeTimeout                        // dialled, but the transport's handshake or the peer's first SETTINGS took too long
)

var failureNames = [...]string{
	"", "dial failed", "handshake failed", "peer silent", "peer gone", "go away", "protocol broken", "panic", "handshake timeout",
}

func (k FailureKind) String() string {
	if int(k) < len(failureNames) {
		return failureNames[k]
	}
	return fmt.Sprintf("failure %d", uint8(k))
}

// Failure is what a supervisor is told when a connection cannot be made or is
// lost.
type Failure struct {
	At     time.Time
	Path   string // of the actor that failed: ".../subchannel-1/conn-4", or the subchannel's when there is no connection yet
	Kind   FailureKind
	Cause  error         // the chain down to the transport's own error, for errors.Is and errors.As
	Epoch  int           // the number of the connection that failed, from 1
	Count  int           // failures of this subchannel in a row, this one included
	Window time.Duration // how long that row is
	Lived  time.Duration // how long the connection had been up; 0: it never was
	GoAway *frame.GoAway // what the peer said, if it did: code and debug data
	Clause string        // the rule that a ProtocolBroken peer broke: "RFC 9113 6.9.1"; empty for a limit of ours
	Next   time.Duration // what Default would wait before the next attempt
}

// Supervisor is the path of the actor whose failures count together: the
// subchannel, or on a server the listener.
func (f *Failure) Supervisor() string {
	if i := strings.LastIndexByte(f.Path, '/'); i >= 0 && strings.HasPrefix(f.Path[i:], "/conn-") {
		return f.Path[:i]
	}
	return f.Path
}

// Complete fills in what follows from the cause, and the time if it is missing.
func (f *Failure) Complete(now time.Time) {
	if f.At.IsZero() {
		f.At = now
	}
	if f.Kind == HandshakeFailed && timedOut(f.Cause) {
		f.Kind = HandshakeTimeout
	}
	var (
		ce  *frame.ConnError
		pan *actors.Panic
	)
	if errors.As(f.Cause, &ce) {
		f.Clause = ce.Clause
	}
	if errors.As(f.Cause, &pan) {
		f.Kind = Panicked
	}
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
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

var decisionNames = [...]string{"default", "reconnect", "stop", "escalate", "quarantine"}

func (d Decision) String() string {
	if int(d) < len(decisionNames) {
		return decisionNames[d]
	}
	return fmt.Sprintf("decision %d", uint8(d))
}

// Directive is a supervisor's answer to a Failure.
type Directive struct {
	Decision Decision
	After    time.Duration
}

func (d Directive) String() string {
	if d.After > 0 {
		return d.Decision.String() + " " + d.After.String()
	}
	return d.Decision.String()
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
		ga  *GoAwayError
	)
	switch {
	case errors.As(err, &pan):
		return Panicked
	case errors.As(err, &hs):
		if timedOut(hs.Err) {
			return HandshakeTimeout
		}
		return HandshakeFailed
	case errors.As(err, &ce) && (ce.Code == frame.NoError || ce.Code == frame.SettingsTimeout):
		return PeerSilent // no rule was broken: an answer stayed out
	case errors.As(err, &ce) && ce.Blame == frame.Remote:
		return ProtocolBroken
	case errors.As(err, &ga):
		return PeerGoAway
	default:
		return PeerGone
	}
}
