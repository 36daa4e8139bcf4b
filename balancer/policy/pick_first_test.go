package policy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/resolver"
)

func newPickFirstRig(t *testing.T) *rig { return newRig(t, PickFirst().New(nil)) }

func diff(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestFirstAddressThatConnectsIsUsed(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1", "c:1")...)
	r.WantState(connecting)
	diff(t, "begun", r.In(connecting), []string{"a:1"})
	if !r.At("a:1").noHealth {
		t.Error("pick_first waits for a health check")
	}
	r.Set("a:1", failing, errDial)
	diff(t, "begun after a failure", r.In(connecting), []string{"b:1"})
	r.Ready("b:1")
	r.WantState(ready)
	diff(t, "picks", r.Spread(10), map[string]int{"b:1": 10})
	if n := len(r.Living()); n != 1 {
		t.Errorf("%d subchannels, want the one in use", n)
	}
	r.Close()
}

func TestFailureIsStickyUntilReady(t *testing.T) {
	errFirst, errSecond := errors.New("first"), errors.New("second")
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Set("a:1", failing, errFirst)
	r.WantState(connecting)
	r.Set("b:1", failing, errSecond)
	r.WantState(failing)
	r.WantErr(errFirst)
	r.WantErr(errSecond)
	var ae *AttemptsError
	if err := r.Pick(context.Background()).Err; !errors.As(err, &ae) {
		t.Fatalf("%T", err)
	}
	diff(t, "failures", []string{ae.Failures[0].Address, ae.Failures[1].Address}, []string{"a:1", "b:1"})
	diff(t, "resolves", r.resolves, 1)

	t.Log("each connects again as soon as its backoff is over")
	r.Set("b:1", idle, nil)
	diff(t, "connecting", r.In(connecting), []string{"b:1"})
	r.WantState(failing)
	r.Set("a:1", idle, nil)
	diff(t, "connecting", r.In(connecting), []string{"a:1", "b:1"})
	r.WantState(failing)

	t.Log("a round of failures asks the resolver again and renews the error")
	errThird := errors.New("third")
	r.Set("a:1", failing, errThird)
	diff(t, "resolves", r.resolves, 1)
	r.Set("b:1", failing, errThird)
	diff(t, "resolves", r.resolves, 2)
	r.WantErr(errThird)

	t.Log("a new list does not end it")
	r.Update(nil, endpoints("b:1", "c:1")...)
	r.WantState(failing)
	diff(t, "connecting", r.In(connecting), []string{"c:1"})
	r.Ready("c:1")
	r.WantState(ready)
	r.Close()
}

func TestBackoffThatEndsInThePassWaitsForItsEnd(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Set("a:1", failing, errDial)
	r.Set("a:1", idle, nil)
	diff(t, "connecting", r.In(connecting), []string{"b:1"})
	r.Set("b:1", failing, errDial)
	r.WantState(failing)
	diff(t, "connecting", r.In(connecting), []string{"a:1"})
}

func TestBackoffThatEndsInALaterPassWaitsForItsEnd(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1")...)
	r.Set("a:1", failing, errDial)
	r.WantState(failing)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Set("a:1", idle, nil)
	diff(t, "connecting", r.In(connecting), []string{"b:1"})
	r.Set("b:1", failing, errDial)
	diff(t, "connecting", r.In(connecting), []string{"a:1"})
}

func TestAddressThatFailedIsTriedAgainAfterALoss(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Set("a:1", failing, errDial)
	r.Ready("b:1")
	r.Set("b:1", idle, nil)
	r.Step(&ExitIdle{})
	diff(t, "connecting", r.In(connecting), []string{"a:1"})
}

func TestLostConnectionMakesIdle(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1")
	r.Set("a:1", idle, errDial)
	r.WantState(idle)
	diff(t, "resolves", r.resolves, 1)
	diff(t, "attempts", r.In(connecting), []string(nil))

	t.Log("an update does not wake it")
	r.Update(nil, endpoints("b:1", "c:1")...)
	r.WantState(idle)
	diff(t, "attempts", r.In(connecting), []string(nil))

	r.Step(&ExitIdle{})
	r.WantState(connecting)
	diff(t, "attempts", r.In(connecting), []string{"b:1"})
	r.Step(&ExitIdle{}) // means nothing now
	r.Ready("b:1")

	t.Log("a pick wakes it")
	r.Set("b:1", idle, nil)
	stale := r.state.Picker
	r.Pick(context.Background())
	r.WantState(connecting)
	r.Ready("b:1")
	r.Set("b:1", idle, nil)
	r.Step(stale.Pick(r.info(context.Background())).Wanted)
	r.WantState(idle)
	r.Close()
}

func TestWantedIsAskedOnce(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1")...)
	r.Ready("a:1")
	r.Set("a:1", idle, nil)
	w := r.state.Picker.Pick(r.info(context.Background())).Wanted
	if !w.Ask() || w.Ask() {
		t.Error("want one event for all RPCs that wait")
	}
}

func TestAddressInUseIsKept(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1")
	used, published := r.At("a:1"), r.published
	r.Update(nil, endpoints("c:1", "a:1")...)
	diff(t, "living", len(r.Living()), 1)
	if r.At("a:1") != used || r.published != published {
		t.Error("the connection in use was touched")
	}

	t.Log("attributes for balancers do not make an address another one")
	a := resolver.Address{Addr: "a:1", BalancerAttributes: attributes.New("k", "v")} //nolint:staticcheck // resolvers still set it
	r.Update(nil, resolver.Endpoint{Addresses: []resolver.Address{a}})
	if r.At("a:1") != used {
		t.Error("the connection was given up")
	}

	t.Log("others do")
	a.Attributes = attributes.New("k", "v")
	r.Update(nil, resolver.Endpoint{Addresses: []resolver.Address{a}})
	if r.At("a:1") == used {
		t.Error("the connection was kept")
	}
	r.WantState(connecting)
	r.Close()
}

func TestListWithoutTheAddressInUseConnectsAgain(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1")...)
	r.Ready("a:1")
	r.Update(nil, endpoints("b:1")...)
	r.WantState(connecting)
	diff(t, "living", r.In(connecting), []string{"b:1"})
	diff(t, "all", len(r.Living()), 1)
}

func TestSharedSubchannelsSurviveANewList(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1", "c:1")...)
	r.Pass(attemptDelay)
	b := r.At("b:1")
	r.Update(nil, endpoints("b:1", "d:1")...)
	if r.At("b:1") != b || r.At("a:1") != nil {
		t.Error("want b:1 kept and a:1 removed")
	}
	r.Ready("b:1")
	r.WantState(ready)
}

func TestNoAddresses(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil)
	r.WantState(failing)
	r.WantErr(ErrNoAddresses)
	diff(t, "resolves", r.resolves, 1)

	t.Log("it is not a failure of connections: a list ends it")
	r.Update(nil, endpoints("a:1")...)
	r.WantState(connecting)
	r.Ready("a:1")
	r.Update(nil, endpoint())
	r.WantState(failing)
	diff(t, "living", len(r.Living()), 0)
	r.Step(&ExitIdle{})
	r.WantState(failing)
}

func TestResolverFailure(t *testing.T) {
	errNames := errors.New("no such host")
	r := newPickFirstRig(t)
	r.Step(&Failed{Err: errNames})
	r.WantState(failing)
	r.WantErr(errNames)
	r.Update(nil, endpoints("a:1")...)
	r.WantState(connecting)
	r.Step(&Failed{Err: errNames})
	r.WantState(connecting)
	r.Ready("a:1")
	r.Step(&Failed{Err: errNames})
	r.WantState(ready)
}

func TestStoppedAttempts(t *testing.T) {
	stop := errors.New("stopped by supervision")
	t.Run("of the only address make IDLE", func(t *testing.T) {
		for _, at := range []string{"the attempt", "the backoff", "a later attempt"} {
			t.Run("in "+at, func(t *testing.T) {
				r := newPickFirstRig(t)
				r.Update(nil, endpoints("a:1")...)
				if at != "the attempt" {
					r.Set("a:1", failing, errDial)
				}
				if at == "a later attempt" {
					r.Set("a:1", idle, nil)
				}
				r.Set("a:1", idle, stop)
				r.WantState(idle)
				diff(t, "attempts", r.In(connecting), []string(nil))
				r.Step(&ExitIdle{})
				r.WantState(connecting)
				diff(t, "attempts", r.In(connecting), []string{"a:1"})
			})
		}
	})
	t.Run("of one of two leave the other", func(t *testing.T) {
		r := newPickFirstRig(t)
		r.Update(nil, endpoints("a:1", "b:1")...)
		r.Set("a:1", idle, stop)
		r.WantState(connecting)
		diff(t, "attempts", r.In(connecting), []string{"b:1"})
		r.Set("b:1", failing, errDial)
		r.WantState(failing)
		r.WantErr(stop)
		diff(t, "attempts", r.In(connecting), []string(nil))
		r.Set("b:1", idle, nil)
		diff(t, "attempts", r.In(connecting), []string{"b:1"})
		r.Set("b:1", idle, stop)
		r.WantState(idle)
	})
}

func TestHealthOfTheAddressInUse(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.Ready("a:1")
	a := r.At("a:1")
	r.Set("a:1", failing, errDial)
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(nil, endpoints("c:1", "a:1")...)
	if r.At("a:1") != a {
		t.Error("an unhealthy connection was given up")
	}
	r.Set("a:1", connecting, nil)
	r.WantState(connecting)
	r.Set("a:1", ready, nil)
	r.WantState(ready)
	r.Set("a:1", failing, errDial)
	r.Set("a:1", idle, nil)
	r.WantState(idle)
}

func TestSubchannelThatShutsDownIsReplaced(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1")...)
	r.Set("a:1", shutdown, nil)
	r.WantState(idle)
	r.Step(&ExitIdle{})
	diff(t, "attempts", r.In(connecting), []string{"a:1"})
	r.Ready("a:1")
	r.Set("a:1", shutdown, nil)
	r.WantState(idle)
	r.Close()
}

func TestShuffleIsOfEndpoints(t *testing.T) {
	first := map[string]int{}
	for i := range 300 {
		r := newPickFirstRig(t)
		r.seed = uint64(i)*2654435761 + 1
		for range 8 {
			r.Rand()
		}
		r.Update(&PickFirstConfig{ShuffleAddressList: true}, endpoint("a:1", "a:2"), endpoint("b:1", "b:2"), endpoint("c:1"))
		first[r.In(connecting)[0]]++
		r.Close()
	}
	for _, a := range []string{"a:1", "b:1", "c:1"} {
		if first[a] < 60 {
			t.Errorf("%s is first %d times of 300", a, first[a])
		}
	}
	diff(t, "addresses in front", len(first), 3)
}

func TestTickBeforeItsTimeMeansNothing(t *testing.T) {
	r := newPickFirstRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	r.wake = time.Time{}
	r.now = r.now.Add(attemptDelay - 1)
	r.Step(&Tick{})
	diff(t, "attempts", r.In(connecting), []string{"a:1"})
	if r.wake.IsZero() {
		t.Error("it does not wait any more")
	}
	r.Pass(1)
	diff(t, "attempts", r.In(connecting), []string{"a:1", "b:1"})
}
