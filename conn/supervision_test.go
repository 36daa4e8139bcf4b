package conn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
)

var (
	errPing  = &frame.ConnError{Code: frame.NoError, Blame: frame.Remote, Reason: "no answer"}
	errAck   = &frame.ConnError{Code: frame.SettingsTimeout, Blame: frame.Remote, Clause: "RFC 9113 6.5.3"}
	errRule  = &frame.ConnError{Code: frame.FlowControlError, Blame: frame.Remote, Clause: "RFC 9113 6.9.1"}
	errOwn   = &frame.ConnError{Code: frame.InternalError, Blame: frame.Local}
	errPanic = &actors.Panic{Value: "oh"}
)

func TestKindOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want FailureKind
	}{
		{"end of the socket", io.EOF, PeerGone},
		{"reset", fmt.Errorf("read: %w", syscall.ECONNRESET), PeerGone},
		{"certificate", &HandshakeError{Err: x509.UnknownAuthorityError{}}, HandshakeFailed},
		{"silence in the handshake", &HandshakeError{Err: os.ErrDeadlineExceeded}, HandshakeTimeout},
		{"keepalive", errPing, PeerSilent},
		{"settings not acknowledged", errAck, PeerSilent},
		{"breach", fmt.Errorf("connect: %w", errRule), ProtocolBroken},
		{"our own fault", errOwn, PeerGone},
		{"panic", fmt.Errorf("reader: %w", errPanic), Panicked},
		{"goaway", &GoAwayError{Frame: &frame.GoAway{}}, PeerGoAway},
		{"goaway, then the end of the socket", &GoAwayError{Frame: &frame.GoAway{}, Err: io.EOF}, PeerGoAway},
		{"goaway, then a breach", &GoAwayError{Frame: &frame.GoAway{}, Err: errRule}, ProtocolBroken},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			if got := KindOf(c.err); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestFailureIsCompletedFromItsCause(t *testing.T) {
	now := time.Unix(1000, 0)
	tests := []struct {
		name string
		f    Failure
		want Failure
	}{
		{"time is filled in", Failure{Kind: PeerGone, Cause: io.EOF}, Failure{At: now, Kind: PeerGone, Cause: io.EOF}},
		{"time is kept", Failure{At: now.Add(-1), Kind: PeerGone}, Failure{At: now.Add(-1), Kind: PeerGone}},
		{"TLS took too long", Failure{Kind: HandshakeFailed, Cause: context.DeadlineExceeded}, Failure{At: now, Kind: HandshakeTimeout, Cause: context.DeadlineExceeded}},
		{"TLS refused", Failure{Kind: HandshakeFailed, Cause: x509.UnknownAuthorityError{}}, Failure{At: now, Kind: HandshakeFailed, Cause: x509.UnknownAuthorityError{}}},
		{"clause of the rule", Failure{Kind: ProtocolBroken, Cause: errRule}, Failure{At: now, Kind: ProtocolBroken, Cause: errRule, Clause: "RFC 9113 6.9.1"}},
		{"a dialler that panics", Failure{Kind: DialFailed, Cause: errPanic}, Failure{At: now, Kind: Panicked, Cause: errPanic}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			c.f.Complete(now)
			if d := cmp.Diff(c.want, c.f, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSupervisorOfAFailure(t *testing.T) {
	for path, want := range map[string]string{
		"s/client/x/balancer/subchannel-1/conn-4":  "s/client/x/balancer/subchannel-1",
		"s/client/x/balancer/subchannel-1":         "s/client/x/balancer/subchannel-1",
		"s/server/a/listener-127.0.0.1:1/conn-12":  "s/server/a/listener-127.0.0.1:1",
		"s/client/passthrough:///a/conn-x/balance": "s/client/passthrough:///a/conn-x/balance",
		"": "",
	} {
		if got := (&Failure{Path: path}).Supervisor(); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// The cause that RPCs are told grows from what the peer announced to what ended
// the connection, and the first end counts.
func TestCauseOfALostConnection(t *testing.T) {
	said := &frame.GoAway{Code: frame.EnhanceYourCalm, Debug: []byte("calm")}
	opErr := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	tests := []struct {
		name  string
		steps func(e *edge)
		want  error
	}{
		{"nothing", func(*edge) {}, nil},
		{"drained by us", func(e *edge) { e.explain(nil, closing(nil)) }, nil},
		{"reset", func(e *edge) { e.explain(nil, closing(opErr)) }, syscall.ECONNRESET},
		{"first end counts", func(e *edge) { e.explain(nil, closing(opErr)); e.explain(nil, closing(io.EOF)) }, syscall.ECONNRESET},
		{"announced", func(e *edge) { e.explain(said, nil); e.explain(nil, closing(opErr)) }, syscall.ECONNRESET},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			e := &edge{}
			c.steps(e)
			got := Ref{e: e}.Cause()
			if !errors.Is(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			var ga *GoAwayError
			if found := errors.As(got, &ga); found != (c.name == "announced") {
				t.Errorf("GOAWAY in %v: %v", got, found)
			} else if found && string(ga.Frame.Debug) != "calm" {
				t.Errorf("debug %q", ga.Frame.Debug)
			}
		})
	}
}

func closing(err error) *connfsm.Closing { return &connfsm.Closing{Err: err} }
