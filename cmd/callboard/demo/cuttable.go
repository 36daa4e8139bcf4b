package demo

import (
	"net"
	"sync"
)

// cuttable is a listener that keeps hold of the sockets it accepted, to break
// them under their owner's hands.
type cuttable struct {
	net.Listener
	mu       sync.Mutex
	accepted []net.Conn
}

// Accept implements net.Listener.
func (l *cuttable) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.accepted = append(l.accepted, nc)
		l.mu.Unlock()
	}
	return nc, err
}

// cut resets every accepted socket: the peers get a TCP RST, and what was
// queued in either direction is lost.
func (l *cuttable) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, nc := range l.accepted {
		if tc, ok := nc.(*net.TCPConn); ok {
			_ = tc.SetLinger(0) // without it Close sends FIN, which is polite
		}
		_ = nc.Close()
	}
	l.accepted = nil
}
