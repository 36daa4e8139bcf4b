package conn

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// tcp returns the two ends of a real connection over the loopback.
func tcp(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	x, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close(); _ = y.Close() })
	return x.(*net.TCPConn), y.(*net.TCPConn)
}

func quietSource(nc net.Conn) *source {
	s := newSource(nc)
	s.block = func() uint64 { return 0 }
	return s
}

func TestIdleSourceHoldsNoBuffer(t *testing.T) {
	a, b := tcp(t)
	s := quietSource(a)
	if s.raw == nil {
		t.Skip("no descriptor to wait for here")
	}
	waited := make(chan error)
	p := make([]byte, 100)
	for _, msg := range []string{"hello", strings.Repeat("x", 90)} {
		go func() { waited <- s.WaitReadable() }()
		select {
		case err := <-waited:
			t.Fatalf("readable with nothing to read: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if _, err := b.Write([]byte(msg)); err != nil {
			t.Fatal(err)
		}
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadFull(s, p[:len(msg)])
		if got := string(p[:n]); err != nil || got != msg {
			t.Errorf("read %q, %v", got, err)
		}
		if s.pool != nil || s.ahead != nil {
			t.Error("a buffer is held although everything was handed on")
		}
	}
}

func TestSourceEnds(t *testing.T) {
	ends := map[string]struct {
		do   func(a, b *net.TCPConn)
		want error
	}{
		"FIN":              {func(_, b *net.TCPConn) { _ = b.Close() }, io.EOF},
		"RST":              {func(_, b *net.TCPConn) { _ = b.SetLinger(0); _ = b.Close() }, syscall.ECONNRESET},
		"closed by us":     {func(a, _ *net.TCPConn) { _ = a.Close() }, net.ErrClosed},
		"deadline expired": {func(a, _ *net.TCPConn) { _ = a.SetReadDeadline(time.Now()) }, timeoutError{}},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			a, b := tcp(t)
			s := quietSource(a)
			waited := make(chan error)
			go func() { waited <- s.WaitReadable() }()
			end.do(a, b)
			err := <-waited
			if end.want == (timeoutError{}) {
				var ne net.Error
				if !errors.As(err, &ne) || !ne.Timeout() {
					t.Errorf("wait: %v, want a timeout", err)
				}
				return
			}
			if !errors.Is(err, end.want) {
				t.Errorf("wait: %v, want %v", err, end.want)
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, end.want) {
				t.Errorf("read: %v, want %v", err, end.want)
			}
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "timeout" }

// A connection over real sockets: exchange, then each way a socket may end.
func TestOverTCP(t *testing.T) {
	ends := map[string]func(r *rig, c, s *net.TCPConn){
		"client's FIN": func(_ *rig, c, _ *net.TCPConn) { _ = c.CloseWrite() },
		"server's RST": func(_ *rig, _, s *net.TCPConn) { _ = s.SetLinger(0); _ = s.Close() },
		"close":        func(r *rig, _, _ *net.TCPConn) { r.client.Close("enough", nil) },
		"drain":        func(r *rig, _, _ *net.TCPConn) { r.server.Drain("enough") },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c, s := tcp(t)
			r := newRig(t, func(o *options) { o.cnc, o.snc, o.handler = c, s, echo })
			for _, size := range []int{0, 10, 60_000, 300_000} {
				want := strings.Repeat("y", size)
				c := r.unary("/a.B/Unary", want)
				if err := c.Wait(timeout(t)); err != nil {
					t.Fatal("the call does not end")
				}
				if m, n := c.TakeMessages(); c.Status().Code() != codes.OK || n != 1 || text(m) != want {
					t.Errorf("%d octets: %v", size, c.Status())
				}
				c.Release()
			}
			end(r, c, s)
			r.gone()
			r.finish()
		})
	}
}

func timeout(t *testing.T) <-chan struct{} {
	ch := make(chan struct{})
	tm := time.AfterFunc(5*time.Second, func() { close(ch) })
	t.Cleanup(func() { tm.Stop() })
	return ch
}
