package callboard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// advice answers failures from a list and keeps them.
type advice struct {
	mu       sync.Mutex
	answers  []callboard.Directive
	failures []callboard.Failure
}

func (a *advice) decide(f callboard.Failure) callboard.Directive {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures = append(a.failures, f)
	if len(a.answers) == 0 {
		return callboard.Default()
	}
	d := a.answers[0]
	a.answers = a.answers[1:]
	return d
}

func (a *advice) heard() []callboard.Failure {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failures
}

// A lost connection is reported to the user, whose directive decides what
// follows.
func TestSupervisedLoss(t *testing.T) {
	tests := []struct {
		name string
		d    callboard.Directive
		want connectivity.State // right after the loss
		call codes.Code         // of a call that fails fast then
	}{
		{"default", callboard.Default(), connectivity.Idle, codes.OK},
		{"reconnect", callboard.Reconnect(0), connectivity.Ready, codes.OK},
		{"reconnect later", callboard.Reconnect(5 * time.Second), connectivity.TransientFailure, codes.Unavailable},
		{"stop", callboard.Stop(), connectivity.Idle, codes.OK},
		{"escalate", callboard.Escalate(), connectivity.TransientFailure, codes.Unavailable},
		{"quarantine", callboard.Quarantine(time.Hour), connectivity.TransientFailure, codes.Unavailable},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			a := &advice{answers: []callboard.Directive{c.d}}
			onStage(t, playbook{unary: echo}, []callboard.DialOption{callboard.WithSupervision(a.decide)}, func(s *stage) {
				if err := s.call(context.Background()); err != nil {
					t.Fatal(err)
				}
				s.cut()
				fs := a.heard()
				if len(fs) != 1 {
					t.Fatalf("heard %+v", fs)
				}
				f := fs[0]
				if f.Kind != callboard.PeerGone || f.Epoch != 1 || f.Count != 1 || f.Cause == nil ||
					f.Path != "play/client/passthrough:///stage/balancer/subchannel-1/conn-1" {
					t.Errorf("failure %+v", f)
				}
				if got := s.cc.GetState(); got != c.want {
					t.Errorf("state %v, want %v", got, c.want)
				}
				if err := s.call(context.Background()); status.Code(err) != c.call {
					t.Errorf("call: %v, want %v", err, c.call)
				}
			})
		})
	}
}

func TestSupervisedDial(t *testing.T) {
	a := &advice{answers: []callboard.Directive{callboard.Reconnect(3 * time.Second), callboard.Reconnect(4 * time.Second)}}
	onStage(t, playbook{unary: echo}, []callboard.DialOption{callboard.WithSupervision(a.decide)}, func(s *stage) {
		s.open(false)
		began := time.Now()
		go func() { time.Sleep(5 * time.Second); s.open(true) }()
		if err := s.call(context.Background(), grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 7*time.Second {
			t.Errorf("connected after %v, want 3 s and 4 s", d)
		}
		for i, f := range a.heard() {
			if f.Kind != callboard.DialFailed || !errors.Is(f.Cause, errNobodyHome) || f.Count != i+1 ||
				f.Window != time.Duration(i)*3*time.Second || strings.Contains(f.Path, "conn-") {
				t.Errorf("failure %d: %+v", i, f)
			}
		}
	})
}

// Stop ends the attempts until somebody asks.
func TestSupervisedStop(t *testing.T) {
	a := &advice{answers: []callboard.Directive{callboard.Stop()}}
	onStage(t, playbook{unary: echo}, []callboard.DialOption{callboard.WithSupervision(a.decide)}, func(s *stage) {
		s.open(false)
		s.cc.Connect()
		time.Sleep(time.Hour)
		if s.dialled() != 1 || s.cc.GetState() != connectivity.Idle {
			t.Errorf("%d dials, state %v", s.dials, s.cc.GetState())
		}
		s.open(true)
		s.cc.Connect()
		synctest.Wait()
		if got := s.cc.GetState(); got != connectivity.Ready {
			t.Errorf("state %v", got)
		}
	})
}
