package callboard_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/actors"
)

// unruly is grpc-go's round_robin with an end of its own.
type unruly struct {
	grpcbalancer.Builder
	end func()
}

func (u unruly) Build(cc grpcbalancer.ClientConn, o grpcbalancer.BuildOptions) grpcbalancer.Balancer {
	return unrulyBalancer{u.Builder.Build(cc, o), u.end}
}

type unrulyBalancer struct {
	grpcbalancer.Balancer
	end func()
}

func (u unrulyBalancer) Close() { u.Balancer.Close(); u.end() }

func withUnruly(end func()) []callboard.DialOption {
	return []callboard.DialOption{
		callboard.WithBalancers(unruly{grpcbalancer.Get(roundrobin.Name), end}), callboard.WithIdleTimeout(idleAfter),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
	}
}

// A channel that became IDLE wakes up, whatever its policy did at its end.
func TestPolicyThatDoesNotEndWell(t *testing.T) {
	var release chan struct{}
	for name, end := range map[string]func(){
		"panics": func() { panic("not my day") },
		"hangs":  func() { <-release },
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, playbook{unary: echo}, withUnruly(end), func(s *stage) {
				release = make(chan struct{}) // this bubble's
				for range 3 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					if err := s.call(ctx, grpc.WaitForReady(true)); err != nil {
						t.Error(err)
					}
					cancel()
					time.Sleep(2 * idleAfter)
					s.expect(connectivity.Idle)
				}
				close(release)
			})
		})
	}
}

// Close ends although it is called from where the channel's own actors wait for
// it: Close waits for them in turn, but not for ever.
func TestCloseFromWithinTheChannel(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		var cc *callboard.ClientConn
		closed := make(chan time.Duration, 1)
		advise := func(callboard.Failure) callboard.Directive {
			began := time.Now()
			_ = cc.Close() // what matters is that it returns
			closed <- time.Since(began)
			return callboard.Default()
		}
		cc, err := s.sys.NewClient("passthrough:///stage", callboard.WithTransportCredentials(insecure.NewCredentials()), callboard.WithContextDialer(s.dial),
			callboard.WithSupervision(advise))
		if err != nil {
			t.Fatal(err)
		}
		s.open(false)
		cc.Connect()
		select {
		case d := <-closed:
			if d > 5*time.Second {
				t.Errorf("closing took %v", d)
			}
		case <-time.After(time.Hour):
			t.Fatal("Close does not return")
		}
		synctest.Wait()
		if got := cc.GetState(); got != connectivity.Shutdown {
			t.Errorf("state %v", got)
		}
	})
}

// Shutdown ends although a policy of the application's hangs, and says so.
func TestShutdownWithHungPolicy(t *testing.T) {
	var hung atomic.Bool
	release := make(chan struct{})
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		release = make(chan struct{})
		sys, err := callboard.NewSystem(callboard.WithName("hung"), callboard.WithActorSystem(actors.NewSystem(nil)))
		if err != nil {
			t.Fatal(err)
		}
		cc, err := sys.NewClient("passthrough:///stage", append(withUnruly(func() { hung.Store(true); <-release }),
			callboard.WithTransportCredentials(insecure.NewCredentials()), callboard.WithContextDialer(s.dial))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := sent(cc, context.Background(), grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := sys.Shutdown(context.Background()); err == nil {
			t.Error("nothing is said of what hangs")
		}
		if d := time.Since(began); d > 10*time.Second || !hung.Load() {
			t.Errorf("after %v, hung %v", d, hung.Load())
		}
		close(release)
		synctest.Wait()
		if n := sys.Inspect().Actors; n != 0 {
			t.Errorf("%d actors are left:\n%v", n, sys.Inspect())
		}
	})
}
