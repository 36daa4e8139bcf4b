package frame

import "fmt"

// Blame says whose doing an error is.
type Blame uint8

// Who is to blame.
const (
	Remote Blame = iota // the peer broke the protocol or a limit
	Local               // we gave up: a bug, a shutdown, a broken socket
	User                // the application asked for it
)

func (b Blame) String() string { return [...]string{"remote", "local", "user"}[b] }

// ConnError ends a connection: GOAWAY with Code, then close.
type ConnError struct {
	Code   ErrCode
	Blame  Blame
	Reason string // what happened, lower case
	Clause string // where the rule stands, "RFC 9113 6.9.1"; empty for our own limits
}

func (e *ConnError) Error() string {
	if e.Clause == "" {
		return fmt.Sprintf("connection error %v: %s", e.Code, e.Reason)
	}
	return fmt.Sprintf("connection error %v: %s (%s)", e.Code, e.Reason, e.Clause)
}

// StreamError ends one stream: RST_STREAM with Code. The connection lives.
type StreamError struct {
	StreamID StreamID
	Code     ErrCode
	Blame    Blame
	Reason   string
	Clause   string
}

func (e *StreamError) Error() string {
	if e.Clause == "" {
		return fmt.Sprintf("stream %d error %v: %s", e.StreamID, e.Code, e.Reason)
	}
	return fmt.Sprintf("stream %d error %v: %s (%s)", e.StreamID, e.Code, e.Reason, e.Clause)
}
