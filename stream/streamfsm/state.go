package streamfsm

import "strconv"

// Role says which end of the stream a machine is.
type Role uint8

// The two roles.
const (
	Client Role = iota
	Server
)

func (r Role) String() string {
	switch r {
	case Client:
		return "client"
	case Server:
		return "server"
	}
	return "role(" + strconv.Itoa(int(r)) + ")"
}

// State is a stream's state in RFC 9113 5.1. The reserved states do not occur:
// gRPC has no push.
type State uint8

// The states.
const (
	StateIdle State = iota
	StateOpen
	StateHalfClosedLocal  // we have sent END_STREAM
	StateHalfClosedRemote // the peer has
	StateClosed
)

func (s State) String() string {
	switch s {
	case StateIdle:
		return "idle"
	case StateOpen:
		return "open"
	case StateHalfClosedLocal:
		return "half-closed (local)"
	case StateHalfClosedRemote:
		return "half-closed (remote)"
	case StateClosed:
		return "closed"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// afterSent is the state once we have sent END_STREAM.
func (s State) afterSent() State {
	switch s {
	case StateOpen:
		return StateHalfClosedLocal
	case StateHalfClosedRemote:
		return StateClosed
	case StateIdle, StateHalfClosedLocal, StateClosed:
	}
	panic("streamfsm: END_STREAM sent in state " + s.String())
}

// afterReceived is the state once the peer's END_STREAM has arrived.
func (s State) afterReceived() State {
	switch s {
	case StateOpen:
		return StateHalfClosedRemote
	case StateHalfClosedLocal:
		return StateClosed
	case StateIdle, StateHalfClosedRemote, StateClosed:
	}
	panic("streamfsm: END_STREAM received in state " + s.String())
}
