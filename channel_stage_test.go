package callboard_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/actors"
)

// stage is a system in a bubble, with a server behind in-memory pipes and a
// client that dials it.
type stage struct {
	testing.TB
	as     *actor.ActorSystem
	sys    *callboard.System
	srv    *callboard.Server
	cc     *callboard.ClientConn
	served chan error

	mu      sync.Mutex
	up      bool
	dials   int
	backlog chan net.Conn
	sockets []net.Conn // the client's
	closed  chan struct{}
	once    sync.Once
}

var errNobodyHome = errors.New("nobody home")

func (s *stage) dial(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	if !s.up {
		return nil, errNobodyHome
	}
	a, b := net.Pipe()
	s.sockets = append(s.sockets, a)
	s.backlog <- b
	return a, nil
}

// Accept implements net.Listener.
func (s *stage) Accept() (net.Conn, error) {
	select {
	case nc := <-s.backlog:
		return nc, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *stage) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

// Addr implements net.Listener.
func (s *stage) Addr() net.Addr { return stageAddr{} }

type stageAddr struct{}

func (stageAddr) Network() string { return "pipe" }
func (stageAddr) String() string  { return "stage" }

func (s *stage) dialled() int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

func (s *stage) open(up bool) {
	s.mu.Lock()
	s.up = up
	s.mu.Unlock()
}

// cut breaks the newest connection.
func (s *stage) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.sockets[len(s.sockets)-1].Close()
}

// onStage runs f in a bubble. Calls that are pooled hold channels, and those may
// not wander from one bubble to the next: two collections empty the pool.
func onStage(t *testing.T, p playbook, opts []callboard.DialOption, f func(s *stage)) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{TB: t, as: actors.NewSystem(nil), up: true, backlog: make(chan net.Conn, 10), closed: make(chan struct{}), served: make(chan error, 1)}
		var err error
		s.sys, err = callboard.NewSystem(callboard.WithName("play"), callboard.WithActorSystem(s.as), callboard.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		s.srv = s.sys.NewServer()
		s.srv.RegisterService(p.desc(), nil)
		go func() { s.served <- s.srv.Serve(s) }()
		synctest.Wait() // it serves: the shortest test ends before that otherwise
		opts = append([]callboard.DialOption{
			callboard.WithTransportCredentials(insecure.NewCredentials()), callboard.WithContextDialer(s.dial),
		}, opts...)
		s.cc, err = s.sys.NewClient("passthrough:///stage", opts...)
		if err != nil {
			t.Fatal(err)
		}
		f(s)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.sys.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-s.served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if n := s.sys.Inspect().Actors; n != 0 {
			t.Errorf("%d actors are left:\n%v", n, s.sys.Inspect())
		}
		synctest.Wait()
	})
	runtime.GC()
	runtime.GC()
	if n := actors.UnhandledCount(); n != 0 {
		t.Errorf("%d messages that no actor knew", n)
	}
}

func (s *stage) call(ctx context.Context, opts ...grpc.CallOption) error {
	out := new(text)
	err := s.cc.Invoke(ctx, unaryPath, wrapperspb.String("hello"), out, opts...)
	if err == nil && out.Value != "hello" {
		s.Errorf("got %q", out.Value)
	}
	return err
}
