package balancer

import (
	"sync/atomic"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/conn"
)

// Conn is a connection that can be picked.
type Conn struct {
	conn.Ref
	// ServerName is the name that the resolver gave the address, and by which
	// the peer was authenticated; empty: the channel's authority.
	ServerName string
}

// Picker is an immutable snapshot: which connections may serve an RPC now. It
// is read without a lock or a message.
type Picker struct {
	State connectivity.State
	Conns []Conn // READY ones; the policy's order
	Err   error  // why there is none, in TRANSIENT_FAILURE
	next  atomic.Uint64
}

// Pick chooses a connection. ok is false when the RPC has to wait; err is set
// when one that is not wait-for-ready fails instead.
func (p *Picker) Pick() (c Conn, ok bool, err error) {
	switch n := uint64(len(p.Conns)); n {
	case 0:
	case 1:
		return p.Conns[0], true, nil
	default:
		return p.Conns[p.next.Add(1)%n], true, nil
	}
	if p.State == connectivity.TransientFailure {
		return Conn{}, false, p.Err
	}
	return Conn{}, false, nil
}
