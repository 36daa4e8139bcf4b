package callboard

import (
	"net"
	"sync"
	"time"
)

// dispatchable is an accepted socket until its handshake is done. Credentials may
// find that it is somebody else's, pass it on, and answer ErrConnDispatched: from
// then on it is not ours to close.
type dispatchable struct {
	net.Conn
	mu   sync.Mutex
	gone bool
}

// dispatch lets go of the socket, as it was when it was accepted.
func (d *dispatchable) dispatch() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.Conn.SetDeadline(time.Time{})
	d.gone = true
}

// SetDeadline implements net.Conn.
func (d *dispatchable) SetDeadline(t time.Time) error {
	return d.ours(func() error { return d.Conn.SetDeadline(t) })
}

// SetWriteDeadline implements net.Conn.
func (d *dispatchable) SetWriteDeadline(t time.Time) error {
	return d.ours(func() error { return d.Conn.SetWriteDeadline(t) })
}

// Close implements net.Conn.
func (d *dispatchable) Close() error { return d.ours(d.Conn.Close) }

// ours does what may be done to a socket that is still here.
func (d *dispatchable) ours(do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return nil
	}
	return do()
}
