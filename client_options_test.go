package callboard_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// awaitKind waits until a system has n actors of a kind.
func awaitKind(t *testing.T, sys *callboard.System, kind string, n int) {
	t.Helper()
	limit := time.After(5 * time.Second)
	for tick := time.NewTicker(time.Millisecond); ; {
		got := 0
		sys.Inspect().Walk(func(_ int, a *inspect.Node) bool {
			if a.Kind == kind {
				got++
			}
			return true
		})
		if got == n {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not %d of %s:\n%v", n, kind, sys.Inspect())
		}
	}
}

func TestUserAgentGoesBeforeOurs(t *testing.T) {
	for name, tt := range map[string]struct {
		opts   []callboard.DialOption
		prefix string
	}{
		"ours alone":    {nil, "callboard-go/"},
		"the program's": {[]callboard.DialOption{callboard.WithUserAgent("shop/1.0")}, "shop/1.0 callboard-go/"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			addr := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
				md, _ := metadata.FromIncomingContext(ctx)
				got <- strings.Join(md["user-agent"], "|")
				return in, nil
			}}.start(t, grpc.NewServer())
			if err := ours(t, addr, tt.opts...).Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
				t.Fatal(err)
			}
			if ua := <-got; !strings.HasPrefix(ua, tt.prefix) || strings.Count(ua, "callboard-go/") != 1 {
				t.Errorf("%q, want %q first", ua, tt.prefix)
			}
		})
	}
}

// readSizes notes the largest room that a read is offered.
type readSizes struct {
	net.Conn
	most *atomic.Int64
}

func (r readSizes) Read(b []byte) (int, error) {
	r.most.Store(max(r.most.Load(), int64(len(b))))
	return r.Conn.Read(b)
}

// What a custom dialer gives is read with the buffer that was asked for.
func TestReadBufferSize(t *testing.T) {
	for _, size := range []int{4 << 10, 256 << 10} {
		var most atomic.Int64
		var addrs []string
		addr := playbook{unary: echo}.start(t, grpc.NewServer())
		cc := ours(t, addr, callboard.WithReadBufferSize(size),
			callboard.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				addrs = append(addrs, addr)
				nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				return readSizes{nc, &most}, err
			}))
		if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
			t.Fatal(err)
		}
		if n := int(most.Load()); n < size || n >= 2*size {
			t.Errorf("reads of %d octets, want %d", n, size)
		}
		if len(addrs) != 1 || addrs[0] != addr {
			t.Errorf("dialled %q, want %q", addrs, addr)
		}
	}
}

// A dialer has its say: what it returns is what the RPC fails with.
func TestContextDialerFails(t *testing.T) {
	cc := ours(t, "passthrough:///nobody:1", callboard.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		return nil, errors.New("no way to there")
	}))
	err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no way to there") {
		t.Errorf("got %v", err)
	}
}

func TestMaxHeaderListSizeOfAClient(t *testing.T) {
	l := testpeer.Listen(t)
	done := l.Script(func(p *testpeer.Peer) {
		announced := uint32(0)
		for _, s := range p.Handshake() {
			if s.ID == http2.SettingMaxHeaderListSize {
				announced = s.Val
			}
		}
		if announced != 2000 {
			t.Errorf("announced %d, want 2000", announced)
		}
		id := p.ExpectRequest().ID
		p.HeadersEnd(id, testpeer.Response().With("x-fill", strings.Repeat("v", 2500))...)
		id = p.ExpectRequest().ID
		p.HeadersEnd(id, append(testpeer.Response(), testpeer.Status(codes.NotFound, "")...)...)
	})
	cc := ours(t, l.Addr(), callboard.WithMaxHeaderListSize(2000))
	for _, want := range []codes.Code{codes.ResourceExhausted, codes.NotFound} {
		if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); status.Code(err) != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	<-done
}

// Attempts follow each other as the backoff says.
func TestConnectParams(t *testing.T) {
	var dials []time.Time
	dialled := make(chan struct{}, 100)
	cc := ours(t, "passthrough:///nobody:1", callboard.WithInsecure(),
		callboard.WithConnectParams(callboard.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 2, MaxDelay: 80 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
		callboard.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Second {
				t.Errorf("an attempt is given %v, want 1 s", time.Until(at))
			}
			dials = append(dials, time.Now())
			dialled <- struct{}{}
			return nil, errors.New("nobody is there")
		}))
	ctx, cancel := context.WithCancel(soon(t))
	ended := make(chan error, 1)
	go func() { ended <- cc.Invoke(ctx, unaryPath, wrapperspb.String(""), new(text), grpc.WaitForReady(true)) }()
	const attempts = 5
	for range attempts {
		<-dialled
	}
	cancel()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	_ = cc.Close()
	for i, least := range []time.Duration{20, 40, 80, 80} { // no jitter was asked for
		if gap := dials[i+1].Sub(dials[i]); gap < least*time.Millisecond*9/10 {
			t.Errorf("attempt %d after %v, want %v ms at least", i+2, gap, least)
		}
	}
}

// A dead peer is noticed by the kernel, too, when keepalive is on (gRFC A18).
func TestKeepaliveSetsTheUserTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []callboard.DialOption
		want time.Duration
	}{
		"off":            {nil, 0},
		"on":             {[]callboard.DialOption{callboard.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 7 * time.Second})}, 7 * time.Second},
		"on, by default": {[]callboard.DialOption{callboard.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second})}, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var nc net.Conn
			addr := playbook{unary: echo}.start(t, grpc.NewServer())
			cc := ours(t, addr, append(tt.opts, callboard.WithContextDialer(func(ctx context.Context, addr string) (_ net.Conn, err error) {
				nc, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
				return nc, err
			}))...)
			if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
				t.Fatal(err)
			}
			if got, ok := userTimeout(t, nc); ok && got != tt.want {
				t.Errorf("TCP_USER_TIMEOUT is %v, want %v", got, tt.want)
			}
		})
	}
}
