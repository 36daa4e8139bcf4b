package faults_test

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// weather is what a proxy does to the octets that pass through it.
type weather uint8

const (
	fair  weather = iota
	still         // nothing is taken any more: sockets fill up, nothing is lost
	black         // all is taken and nothing passed on: the other side has vanished
)

// proxy stands between clients and a server and does to their sockets what
// networks do.
type proxy struct {
	t     testing.TB
	lis   net.Listener
	pumps sync.WaitGroup

	mu      sync.Mutex
	target  string
	turned  sync.Cond // weather or an end
	now     weather
	refuses bool
	came    int
	links   map[*link]struct{}
}

// link is one connection through a proxy.
type link struct {
	near, far net.Conn // the client's side and the server's
	over      bool
	torn      int // how many more octets go to the client before the link is cut; -1: as many as come
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	p := &proxy{t: t, lis: listen(t, "127.0.0.1:0"), target: target, links: map[*link]struct{}{}}
	p.turned.L = &p.mu
	p.pumps.Go(p.accept)
	t.Cleanup(func() {
		_ = p.lis.Close()
		p.reset()
		p.pumps.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.lis.Addr().String() }

func (p *proxy) accept() {
	for {
		nc, err := p.lis.Accept()
		if err != nil {
			return
		}
		p.enter(nc)
	}
}

// enter connects a client with the server, unless neither is to be had.
func (p *proxy) enter(nc net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	far, err := net.Dial("tcp", target)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.came++
	if err != nil || p.refuses {
		abort(nc)
		if err == nil {
			abort(far)
		}
		return
	}
	l := &link{near: nc, far: far, torn: -1}
	p.links[l] = struct{}{}
	p.pumps.Go(func() { p.pump(l, l.near, l.far) })
	p.pumps.Go(func() { p.pump(l, l.far, l.near) })
}

// pump passes on what from sends. The end of one side is the end of both.
func (p *proxy) pump(l *link, from, to net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pass, tear := p.gate(l, n, from == l.far)
			if pass > 0 {
				if _, bad := to.Write(buf[:pass]); bad != nil {
					err = errors.Join(err, bad)
				}
			}
			if tear {
				p.end(l, abort)
			}
		}
		if err != nil {
			p.end(l, hangUp)
			return
		}
	}
}

// gate waits for weather that lets octets through, or takes them. It says how
// many of n may pass, and whether that was the link's last.
func (p *proxy) gate(l *link, n int, down bool) (pass int, tear bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.now == still && !l.over {
		p.turned.Wait()
	}
	if p.now == black || l.over {
		return 0, false
	}
	if !down || l.torn < 0 {
		return n, false
	}
	pass = min(n, l.torn)
	l.torn -= pass
	return pass, l.torn == 0
}

// turn changes the weather.
func (p *proxy) turn(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = w
	p.turned.Broadcast()
}

// aim sets where new connections lead.
func (p *proxy) aim(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// refuse says whether new connections are cut at once.
func (p *proxy) refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = yes
}

// reset cuts all connections with RST; finish ends them with FIN.
func (p *proxy) reset()  { p.cut(abort) }
func (p *proxy) finish() { p.cut(hangUp) }

// tear cuts all connections when n more octets have reached the client, in the
// middle of a frame as likely as not.
func (p *proxy) tear(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.torn = n
	}
}

func (p *proxy) cut(how func(net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		p.endLocked(l, how)
	}
}

func (p *proxy) end(l *link, how func(net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(l, how)
}

func (p *proxy) endLocked(l *link, how func(net.Conn)) {
	if l.over {
		return
	}
	l.over = true
	how(l.near)
	how(l.far)
	delete(p.links, l)
	p.turned.Broadcast()
}

// connections says how many came, and how many there are.
func (p *proxy) connections() (came, are int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.came, len(p.links)
}

func hangUp(nc net.Conn) { _ = nc.Close() }

// abort closes a socket so that the other side sees RST.
func abort(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

// resetOne cuts any of the connections with RST.
func (p *proxy) resetOne() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		p.endLocked(l, abort)
		return
	}
}
