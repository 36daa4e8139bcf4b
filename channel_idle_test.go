package callboard_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

const idleAfter = 8 * time.Minute

func withIdle() []callboard.DialOption {
	return []callboard.DialOption{callboard.WithIdleTimeout(idleAfter)}
}

func (s *stage) expect(want connectivity.State) {
	s.Helper()
	synctest.Wait()
	if got := s.cc.GetState(); got != want {
		s.Errorf("state %v, want %v", got, want)
	}
}

// A channel without RPCs becomes IDLE: neither resolver nor balancer nor
// connection is left. The next RPC wakes it.
func TestIdleTimeout(t *testing.T) {
	onStage(t, playbook{unary: echo}, withIdle(), func(s *stage) {
		synctest.Wait()
		before := s.sys.Inspect().Actors
		for i := range 3 {
			if err := s.call(context.Background()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(idleAfter - time.Second)
			s.expect(connectivity.Ready)
			time.Sleep(idleAfter/2 + 2*time.Second)
			s.expect(connectivity.Idle)
			time.Sleep(time.Minute)
			if n := s.sys.Inspect().Actors; n > before {
				t.Errorf("%d actors, %d before the first call:\n%v", n, before, s.sys.Inspect())
			}
			if n := s.dialled(); n != i+1 {
				t.Errorf("%d dials, want %d", n, i+1)
			}
		}
	})
}

// RPCs keep a channel from becoming IDLE: regular ones, long ones, and those that
// wait for a connection.
func TestBusyChannelsAreNotIdle(t *testing.T) {
	t.Run("regular", func(t *testing.T) {
		onStage(t, playbook{unary: echo}, withIdle(), func(s *stage) {
			for range 20 {
				if err := s.call(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(idleAfter - time.Second)
			}
			if n := s.dialled(); n != 1 {
				t.Errorf("%d dials", n)
			}
		})
	})
	t.Run("long", func(t *testing.T) {
		onStage(t, playbook{stream: echoStream}, withIdle(), func(s *stage) {
			ctx, cancel := context.WithCancel(context.Background())
			st, err := s.cc.NewStream(ctx, bidiDesc, bidiPath)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * idleAfter)
			s.expect(connectivity.Ready)
			cancel()
			if err := st.RecvMsg(new(text)); err == nil {
				t.Error("a message out of nowhere")
			}
			time.Sleep(idleAfter - time.Second)
			s.expect(connectivity.Ready)
			time.Sleep(idleAfter/2 + 2*time.Second)
			s.expect(connectivity.Idle)
		})
	})
	t.Run("waiting", func(t *testing.T) {
		onStage(t, playbook{unary: echo}, withIdle(), func(s *stage) {
			s.open(false)
			result := make(chan error, 1)
			go func() { result <- s.call(context.Background(), grpc.WaitForReady(true)) }()
			time.Sleep(3 * idleAfter)
			s.expect(connectivity.TransientFailure)
			s.open(true)
			if err := <-result; err != nil {
				t.Error(err)
			}
		})
	})
}

// An RPC that comes while the connections of before are still closing waits for
// the new ones.
func TestWakingWhileGoingIdle(t *testing.T) {
	onStage(t, playbook{unary: echo}, withIdle(), func(s *stage) {
		for range 30 {
			if err := s.call(context.Background()); err != nil {
				t.Fatal(err)
			}
			for s.cc.WaitForStateChange(context.Background(), connectivity.Ready) {
				if s.cc.GetState() == connectivity.Idle {
					break
				}
			}
			// Not a moment later: resolver and balancer have only been told.
		}
	})
}

func TestNoIdleTimeout(t *testing.T) {
	onStage(t, playbook{unary: echo}, []callboard.DialOption{callboard.WithIdleTimeout(0)}, func(s *stage) {
		if err := s.call(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		s.expect(connectivity.Ready)
	})
}

// An RPC that begins in the moment in which the channel becomes IDLE is served.
func TestRPCInTheMomentOfIdleness(t *testing.T) {
	onStage(t, playbook{stream: echoStream}, withIdle(), func(s *stage) {
		for range 150 {
			st, err := s.cc.NewStream(context.Background(), bidiDesc, bidiPath)
			if err != nil {
				t.Fatal(err)
			}
			exchange(t, st)
			if err := st.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if err := st.RecvMsg(new(text)); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			// The first look after it has seen it, the fifth sees nothing new.
			time.Sleep(idleAfter / 4 * 5)
		}
	})
}

func exchange(t *testing.T, st grpc.ClientStream) {
	t.Helper()
	if err := st.SendMsg(wrapperspb.String("x")); err != nil {
		t.Fatal(err)
	}
	if err := st.RecvMsg(new(text)); err != nil {
		t.Fatal(err)
	}
}
