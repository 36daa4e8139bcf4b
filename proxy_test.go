package callboard_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// connectProxy answers CONNECT; it knows the names in hosts and no others.
type connectProxy struct {
	hosts  map[string]string
	mu     sync.Mutex
	asked  []string // what for
	auth   []string
	status string
	eager  string // octets that follow the answer at once
}

func (p *connectProxy) start(t *testing.T) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(nc) })
		}
	})
	t.Cleanup(func() { _ = lis.Close(); running.Wait() })
	return lis.Addr().String()
}

func (p *connectProxy) serve(nc net.Conn) {
	defer nc.Close()
	br := bufio.NewReader(nc)
	req, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, req.Method+" "+req.Host)
	p.auth = append(p.auth, req.Header.Get("Proxy-Authorization"))
	p.mu.Unlock()
	if p.status != "" {
		_, _ = io.WriteString(nc, "HTTP/1.1 "+p.status+"\r\n\r\n")
		return
	}
	to, ok := p.hosts[req.Host]
	if !ok {
		_, _ = io.WriteString(nc, "HTTP/1.1 502 unknown host\r\n\r\n")
		return
	}
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	// The server speaks first, too: its SETTINGS may arrive with the answer.
	_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nX-Some: header\r\n\r\n"+p.eager)
	go func() {
		_, _ = io.Copy(up, br)
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(nc, up)
}

func (p *connectProxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// noProxyVariables keeps what the environment has to itself.
func noProxyVariables(t *testing.T) {
	t.Helper()
	for _, v := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"} {
		t.Setenv(v, "")
	}
}

// A proxy of the environment is asked for the target's name: it is the one who
// resolves it.
func TestProxyFromTheEnvironment(t *testing.T) {
	noProxyVariables(t)
	addr := playbook{unary: echo}.start(t, grpc.NewServer())
	p := &connectProxy{hosts: map[string]string{"backend.test:443": addr}}
	t.Setenv("HTTPS_PROXY", "http://me:secret@"+p.start(t))
	if err := sent(ours(t, "dns:///backend.test"), soon(t)); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"CONNECT backend.test:443"}, p.requests()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"Basic bWU6c2VjcmV0"}, p.auth); d != "" {
		t.Error(d)
	}
}

// With other schemes the addresses are asked for.
func TestProxyForAddresses(t *testing.T) {
	noProxyVariables(t)
	addr := playbook{unary: echo}.start(t, grpc.NewServer())
	p := &connectProxy{hosts: map[string]string{"backend.test:1": addr}}
	t.Setenv("HTTPS_PROXY", p.start(t))
	if err := sent(ours(t, "passthrough:///backend.test:1"), soon(t)); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"CONNECT backend.test:1"}, p.requests()); d != "" {
		t.Error(d)
	}
}

// What a proxy refuses, or answers with nonsense, cannot be reached.
func TestProxyRefuses(t *testing.T) {
	noProxyVariables(t)
	for _, answer := range []string{"407 Proxy Authentication Required", "nonsense", "200" + string(make([]byte, 1<<20))} {
		p := &connectProxy{status: answer}
		t.Setenv("HTTPS_PROXY", p.start(t))
		err := sent(ours(t, "passthrough:///backend.test:1"), soon(t))
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%.20q: %v", answer, err)
		}
	}
}

// Nobody asks a proxy who was told not to.
func TestWithoutProxy(t *testing.T) {
	noProxyVariables(t)
	addr := playbook{unary: echo}.start(t, grpc.NewServer())
	p := &connectProxy{}
	t.Setenv("HTTPS_PROXY", p.start(t))
	for name, call := range map[string]func() error{
		"loopback": func() error { return sent(ours(t, addr), soon(t)) },
		"a dialer": func() error { return sent(ours(t, "passthrough:///x", dialling(addr)), soon(t)) },
		"the option": func() error {
			return refused(sent(ours(t, "passthrough:///backend.invalid:1", callboard.WithNoProxy()), soon(t)))
		},
		"local lookup": func() error {
			return refused(sent(ours(t, "dns:///backend.invalid:1", callboard.WithLocalDNSResolution()), soon(t)))
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := p.requests(); len(n) != 0 {
			t.Errorf("%s: the proxy was asked for %v", name, n)
		}
	}
}

// dialling reaches addr, whatever is asked for.
func dialling(addr string) callboard.DialOption {
	return callboard.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
}

// refused expects an RPC to have failed for want of a connection.
func refused(err error) error {
	if status.Code(err) != codes.Unavailable {
		return fmt.Errorf("%w, want UNAVAILABLE", err)
	}
	return nil
}
