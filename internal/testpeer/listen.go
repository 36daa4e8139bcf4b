package testpeer

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Listener hands out scripted servers, one per connection that a client under
// test makes.
type Listener struct {
	t       testing.TB
	tcp     *net.TCPListener
	set     settings
	scripts sync.WaitGroup
}

// Listen opens a port on loopback. A connection that nobody accepts stays
// unanswered, which is how a test plays a host that went silent.
func Listen(t testing.TB, opts ...Option) *Listener {
	t.Helper()
	nl, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatalf("testpeer: listen: %v", err)
	}
	l := &Listener{t: t, tcp: nl, set: configure(opts)}
	t.Cleanup(func() {
		// A script that never got its connection fails now rather than after
		// its patience.
		_ = nl.Close()
		l.scripts.Wait()
	})
	return l
}

// Addr is where the listener listens, as host:port.
func (l *Listener) Addr() string { return l.tcp.Addr().String() }

// Script runs f on a goroutine of its own against the next connection that is
// accepted. A failed expectation fails the test, ends the script and closes the
// connection, so that no call waits for what will not come; a script that ends
// well leaves the connection open until the test is over. The test does not end
// before its scripts. The returned channel closes with the script.
func (l *Listener) Script(f func(p *Peer)) <-chan struct{} {
	done := make(chan struct{})
	l.scripts.Add(1)
	go func() {
		defer l.scripts.Done()
		defer close(done)
		p := l.accept(runtime.Goexit)
		well := false
		defer func() {
			if !well {
				p.Close()
			}
		}()
		f(p)
		well = true
	}()
	return done
}

func (l *Listener) accept(stop func()) *Peer {
	l.t.Helper()
	_ = l.tcp.SetDeadline(time.Now().Add(l.set.patience))
	nc, err := l.tcp.Accept()
	if err != nil {
		l.t.Errorf("testpeer: accept: %v", err)
		stop()
		runtime.Goexit()
	}
	if l.set.tls != nil {
		tc := tls.Server(nc, l.set.tls)
		if err := shake(tc, l.set.patience); err != nil {
			_ = nc.Close()
			l.t.Errorf("testpeer: TLS handshake: %v", err)
			stop()
			runtime.Goexit()
		}
		nc = tc
	}
	return start(l.t, nc, ServerRole, l.set, stop)
}
