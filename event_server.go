package callboard

import (
	"net"
	"time"
)

// ServerState is a server's new state: "serving", "draining" (RPCs in flight
// may end) or "closing".
type ServerState struct {
	Origin
	From, To string
}

// ServerListening says that a server accepts connections.
type ServerListening struct {
	Origin
	Addr net.Addr
}

// ServerListenerDown says that a server accepts no more connections on Addr.
type ServerListenerDown struct {
	Origin
	Addr net.Addr
	Err  error // nil: it was closed on purpose
}

// ServerConnectionUp says that a client has connected: its SETTINGS have
// arrived.
type ServerConnectionUp struct {
	Origin
	Number      int // the listener's connections are numbered from 1
	Local, Peer net.Addr
}

// ServerConnectionDown says that a client's connection is over.
type ServerConnectionDown struct {
	Origin
	Number int
	Peer   net.Addr      // nil: it never got that far
	Kind   FailureKind   // 0: it was closed on purpose
	Cause  error         // nil: as Kind
	Up     bool          // ServerConnectionUp came before
	Lived  time.Duration // since it was accepted
}
