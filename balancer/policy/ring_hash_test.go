package policy

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver/ringhash"
)

var byUser = &RingHashConfig{MinRingSize: 1024, MaxRingSize: 4096, RequestHashHeader: "user"}

func newRingRig(t *testing.T) *rig {
	r := newRig(t, RingHash().New(nil))
	r.rules.readyNeverWaits, r.rules.failingFails = false, false
	return r
}

func as(user string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "user", user)
}

// owner is the address on whose part of the ring a user is: it is what connects
// when everything is IDLE.
func owner(t *testing.T, user string, addrs ...string) string {
	t.Helper()
	r := newRingRig(t)
	r.Update(byUser, endpoints(addrs...)...)
	r.Pick(as(user))
	in := r.In(connecting)
	if len(in) != 1 {
		t.Fatalf("attempts %v, want one", in)
	}
	return in[0]
}

// userOf is a user whose place is at an address.
func userOf(t *testing.T, addr string, addrs ...string) string {
	t.Helper()
	for i := range 1000 {
		if u := fmt.Sprint("user-", i); owner(t, u, addrs...) == addr {
			return u
		}
	}
	t.Fatalf("nobody belongs to %s", addr)
	return ""
}

func (r *rig) pickedAs(user string) string {
	r.t.Helper()
	s := r.by[r.Pick(as(user)).Subchannel]
	if s == nil {
		return ""
	}
	return s.addrs[0].Addr
}

func TestEndpointsConnectWhenTheyAreWanted(t *testing.T) {
	r := newRingRig(t)
	r.Update(byUser, endpoints("a:1", "b:1", "c:1")...)
	r.WantState(idle)
	r.Step(&ExitIdle{})
	diff(t, "attempts", r.In(connecting), []string(nil))

	u := userOf(t, "b:1", "a:1", "b:1", "c:1")
	diff(t, "picked", r.pickedAs(u), "")
	r.WantState(connecting)
	diff(t, "attempts", r.In(connecting), []string{"b:1"})
	r.Ready("b:1")
	r.WantState(ready)
	for range 5 {
		diff(t, "picked", r.pickedAs(u), "b:1")
	}

	t.Log("READY, and an RPC of another place waits for its endpoint")
	v := userOf(t, "c:1", "a:1", "b:1", "c:1")
	diff(t, "picked", r.pickedAs(v), "")
	r.WantState(ready)
	diff(t, "attempts", r.In(connecting), []string{"c:1"})
	r.Ready("c:1")
	diff(t, "picked", r.pickedAs(v), "c:1")
	diff(t, "picked", r.pickedAs(u), "b:1")
	r.Close()
}

func TestFailedEndpointsAreSkipped(t *testing.T) {
	all := []string{"a:1", "b:1", "c:1"}
	u := userOf(t, "a:1", all...)
	r := newRingRig(t)
	r.Update(byUser, endpoints(all...)...)
	r.Pick(as(u))
	errA, errB := errors.New("a"), errors.New("b")
	r.Set("a:1", failing, errA)

	t.Log("one failure of three is CONNECTING, and the next is tried without an RPC")
	r.WantState(connecting)
	diff(t, "attempts", len(r.In(connecting)), 1)
	second := r.In(connecting)[0]
	r.Set(second, failing, errB)

	t.Log("two are TRANSIENT_FAILURE, and the third is tried")
	r.WantState(failing)
	third := r.In(connecting)
	diff(t, "attempts", len(third), 1)
	diff(t, "an RPC waits for it", r.Pick(as(u)).Err, error(nil))
	r.Set(third[0], failing, errB)
	if r.Pick(context.Background()).Err == nil {
		t.Error("an RPC without a key waits for endpoints that have all failed")
	}
	if err := r.Pick(as(u)).Err; !errors.Is(err, errA) {
		t.Errorf("fails with %v, want the error of its own endpoint", err)
	}

	t.Log("a failed one comes back")
	r.Set(second, idle, nil)
	r.Ready(second)
	r.WantState(ready)
	diff(t, "picked", r.pickedAs(u), second)
	r.Set("a:1", idle, nil)
	r.Ready("a:1")
	diff(t, "picked", r.pickedAs(u), "a:1")
	r.Close()
}

func TestAttemptsWithoutAnRPCAreThoseOfPickFirst(t *testing.T) {
	r := newRingRig(t)
	r.Update(byUser, endpoint("a:1", "a:2"), endpoint("b:1", "b:2"))
	r.Pick(as("x"))
	first := r.In(connecting)[0][:1]
	r.Set(first+":1", failing, errDial)
	r.Set(first+":2", failing, errDial)
	other := map[string]string{"a": "b", "b": "a"}[first]
	diff(t, "attempts", r.In(connecting), []string{other + ":1"})
	r.Pass(attemptDelay)
	diff(t, "attempts", r.In(connecting), []string{other + ":1", other + ":2"})

	t.Log("supervision stops one: it is left alone until an RPC wants it")
	r.Set(other+":1", idle, errDial)
	r.Set(other+":2", idle, errDial)
	r.Set(first+":1", idle, nil)
	r.Set(first+":1", failing, errDial)
	r.Set(first+":2", idle, nil)
	r.Set(first+":2", failing, errDial)
	diff(t, "attempts", r.In(connecting), []string(nil))
	r.Pick(as("x"))
	diff(t, "attempts", r.In(connecting), []string{other + ":1"})
}

func TestAttemptsWithoutAnRPCHaveTheClock(t *testing.T) {
	r := newRingRig(t)
	r.Update(nil, endpoint("a:1"))
	r.Picked()
	r.Set("a:1", failing, errDial)
	r.manual = true // what the subchannels say next wakes nobody
	r.Update(nil, endpoint("a:1"), endpoint("b:1", "b:2"))
	if want := r.now.Add(attemptDelay); !r.wake.Equal(want) {
		t.Errorf("a Tick is wanted at %v, want %v", r.wake, want)
	}
}

func TestOneFailureOfTwoStates(t *testing.T) {
	r := newRingRig(t)
	r.Update(byUser, endpoints("a:1")...)
	r.Pick(as("x"))
	r.Set("a:1", failing, errDial)
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(byUser, endpoints("a:1", "b:1")...)
	r.WantState(connecting)
	diff(t, "attempts", r.In(connecting), []string{"b:1"})
}

func TestLostEndpointIsIdle(t *testing.T) {
	r := newRingRig(t)
	r.Update(byUser, endpoints("a:1")...)
	r.Pick(as("x"))
	r.Ready("a:1")
	r.Set("a:1", idle, errDial)
	r.WantState(idle)
	diff(t, "resolves", r.resolves, 1)
	diff(t, "attempts", r.In(connecting), []string(nil))
	r.Pick(as("x"))
	r.WantState(connecting)
}

func TestRPCsWithoutAKeyGoAnywhere(t *testing.T) {
	names := []string{"a:1", "b:1", "c:1"}
	for _, cfg := range []Config{nil, byUser} {
		r := newRingRig(t)
		r.Update(cfg, endpoints(names...)...)

		t.Log("one attempt at a time, whatever they want")
		for range 20 {
			diff(t, "picked", r.Picked(), "")
		}
		in := r.In(connecting)
		diff(t, "attempts", len(in), 1)
		r.Ready(in...)

		t.Log("what is READY serves, and another is asked to connect")
		for range 50 {
			diff(t, "picked", r.Picked(), in[0])
		}
		diff(t, "attempts", len(r.In(connecting)), 1)
		r.Ready(r.In(connecting)...)
		for range 50 {
			r.Picked()
		}
		r.Ready(r.In(connecting)...)
		got := r.Spread(900)
		for _, a := range names {
			if got[a] < 200 || got[a] > 400 {
				t.Errorf("%s has %d of 900", a, got[a])
			}
		}
		r.Close()
	}
}

func TestKeyOfSeveralValues(t *testing.T) {
	names := []string{"a:1", "b:1", "c:1", "d:1", "e:1"}
	r := newRingRig(t)
	r.Update(byUser, endpoints(names...)...)
	two := metadata.AppendToOutgoingContext(as("x"), "User", "y")
	r.Pick(two)
	diff(t, "attempts", r.In(connecting), []string{owner(t, "x,y", names...)})
}

func TestCallerMayBringTheMetadata(t *testing.T) {
	names := []string{"a:1", "b:1", "c:1", "d:1", "e:1"}
	r := newRingRig(t)
	r.Update(byUser, endpoints(names...)...)
	pk := r.state.Picker.Pick(&PickInfo{Outgoing: metadata.Pairs("user", "x"), Rand: r.Rand})
	r.Step(pk.Wanted)
	diff(t, "attempts", r.In(connecting), []string{owner(t, "x", names...)})
}

func TestEndpointsMayHaveAKeyOfTheirOwn(t *testing.T) {
	u := userOf(t, "first", "first", "second")
	r := newRingRig(t)
	r.Update(byUser, ringhash.SetHashKey(endpoint("b:1"), "first"), ringhash.SetHashKey(endpoint("a:1"), "second"))
	r.Pick(as(u))
	diff(t, "attempts", r.In(connecting), []string{"b:1"})
	r.Ready("b:1")

	t.Log("it can move to another endpoint")
	r.Update(byUser, ringhash.SetHashKey(endpoint("b:1"), "second"), ringhash.SetHashKey(endpoint("a:1"), "first"))
	diff(t, "picked", r.pickedAs(u), "")
	diff(t, "attempts", r.In(connecting), []string{"a:1"})
}

func TestNewWeightIsANewRing(t *testing.T) {
	r := newRingRig(t)
	r.Update(nil, endpoints("a:1", "b:1")...)
	rh := r.policy.(*ringHash)
	before := shares(rh.ring, 2)
	r.Update(nil, weight.Set(endpoint("a:1"), weight.EndpointInfo{Weight: 3}), endpoint("b:1"))
	after := shares(rh.ring, 2)
	if before[0] != before[1] || after[0] != 3*after[1] {
		t.Errorf("entries %v, then %v", before, after)
	}
	r.Update(&RingHashConfig{MinRingSize: 4, MaxRingSize: 8}, endpoints("a:1", "b:1")...)
	diff(t, "entries", shares(rh.ring, 2), []int{2, 2})
}

// TestEndpointsWithoutAnEntry: no RPC can reach them, so they must not make the
// policy READY, or be what it connects to in order to become that.
func TestEndpointsWithoutAnEntry(t *testing.T) {
	r := newRingRig(t)
	r.Update(&RingHashConfig{MinRingSize: 1, MaxRingSize: 2}, endpoints("a:1", "b:1", "c:1", "d:1")...)
	for range 10 {
		r.Picked()
	}
	for _, a := range r.In(connecting) {
		r.Set(a, failing, errDial)
	}
	for _, a := range r.In(connecting) {
		r.Set(a, failing, errDial)
	}
	diff(t, "subchannels", len(r.Living()), 2)
	r.WantState(failing)
	r.WantErr(errDial)
}

func TestZeroConfigHasDefaultSizes(t *testing.T) {
	r := newRingRig(t)
	r.Update(&RingHashConfig{}, endpoints("a:1", "b:1")...)
	diff(t, "entries", len(r.policy.(*ringHash).ring.marks), defaultMinRing)
	r.Picked()
	r.WantState(connecting)
}

func TestRingHashWithoutEndpoints(t *testing.T) {
	r := newRingRig(t)
	r.Step(&Failed{Err: errDial})
	r.WantState(failing)
	r.WantErr(errDial)
	r.Update(nil)
	r.WantErr(ErrNoAddresses)
	r.Update(nil, endpoints("a:1")...)
	r.WantState(idle)
	r.Update(nil)
	r.WantState(failing)
	diff(t, "living", len(r.Living()), 0)
	r.Close()
}
