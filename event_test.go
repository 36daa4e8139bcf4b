package callboard_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/actors"
)

// diary is a subscriber that keeps what it hears.
type diary struct {
	mu   sync.Mutex
	list []callboard.Event
}

func (d *diary) hear(ev callboard.Event) {
	d.mu.Lock()
	d.list = append(d.list, ev)
	d.mu.Unlock()
}

// take gives what was heard since it was asked last, as far as keep wants it.
func (d *diary) take(keep func(callboard.Event) bool) (list []callboard.Event) {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, ev := range d.list {
		if keep == nil || keep(ev) {
			list = append(list, ev)
		}
	}
	d.list = nil
	return list
}

// names of the events' types, in order.
func names(list []callboard.Event) (out []string) {
	for _, ev := range list {
		out = append(out, fmt.Sprintf("%T", ev)[len("callboard."):])
	}
	return out
}

func ofServer(ev callboard.Event) bool {
	switch ev.(type) {
	case callboard.ServerState, callboard.ServerListening, callboard.ServerListenerDown,
		callboard.ServerConnectionUp, callboard.ServerConnectionDown:
		return true
	}
	return false
}

func ofClient(ev callboard.Event) bool { return !ofServer(ev) }

const (
	stageChannel    = "play/client/passthrough:///stage"
	stageSubchannel = stageChannel + "/balancer/subchannel-1"
)

// The life of a channel, as a subscriber sees it.
func TestEventsOfAChannel(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		d := &diary{}
		s.sys.Subscribe(d.hear)
		if err := s.call(context.Background()); err != nil {
			t.Fatal(err)
		}
		got := d.take(ofClient)
		want := []string{"ChannelState", "ResolverUpdated", "PolicySwitched", "SubchannelState", "ConnectionUp", "SubchannelState", "ChannelState"}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Fatalf("connecting (-want +got):\n%s", diff)
		}
		if ev := got[1].(callboard.ResolverUpdated); ev.Endpoints != 1 || !ev.Changed || ev.Path() != stageChannel+"/resolver" {
			t.Errorf("%+v", ev)
		}
		if ev := got[2].(callboard.PolicySwitched); ev.From != "" || ev.To != "pick_first" || ev.Path() != stageChannel {
			t.Errorf("%+v", ev)
		}
		if ev := got[4].(callboard.ConnectionUp); ev.Epoch != 1 || ev.Peer == nil || ev.Path() != stageSubchannel+"/conn-1" {
			t.Errorf("%+v", ev)
		}
		wantChannel(t, got[0], connectivity.Idle, connectivity.Connecting)
		wantChannel(t, got[6], connectivity.Connecting, connectivity.Ready)

		s.open(false)
		time.Sleep(time.Second)
		s.cut()
		got = d.take(ofClient)
		want = []string{"ConnectionDown", "SupervisionDecision", "SubchannelState", "ChannelState"}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Fatalf("losing (-want +got):\n%s", diff)
		}
		if ev := got[0].(callboard.ConnectionDown); ev.Epoch != 1 || !ev.Up || ev.Kind != callboard.PeerGone || ev.Cause == nil ||
			ev.Lived != time.Second || ev.Path() != stageSubchannel+"/conn-1" {
			t.Errorf("%+v", ev)
		}
		if ev := got[1].(callboard.SupervisionDecision); ev.Failure.Kind != callboard.PeerGone || ev.Failure.Lived != time.Second ||
			!ev.Failure.At.Equal(time.Now()) || ev.Directive != callboard.Default() {
			t.Errorf("%+v", ev)
		}

		began := time.Now()
		_ = s.call(context.Background())
		got = d.take(func(ev callboard.Event) bool { _, ok := ev.(callboard.SubchannelState); return ok })
		if len(got) != 2 {
			t.Fatalf("failing: %+v", got)
		}
		if ev := got[1].(callboard.SubchannelState); ev.From != connectivity.Connecting || ev.To != connectivity.TransientFailure ||
			!errors.Is(ev.Err, errNobodyHome) || ev.NextAttempt.Sub(began) != time.Second || ev.Path() != stageSubchannel || ev.Address != "stage" {
			t.Errorf("%+v", ev)
		}
		_ = s.cc.Close()
		ends := d.take(func(ev callboard.Event) bool { _, ok := ev.(callboard.ChannelState); return ok })
		if len(ends) != 1 {
			t.Fatalf("closing: %+v", ends)
		}
		wantChannel(t, ends[0], connectivity.TransientFailure, connectivity.Shutdown)
	})
}

func wantChannel(t *testing.T, ev callboard.Event, from, to connectivity.State) {
	t.Helper()
	c, ok := ev.(callboard.ChannelState)
	if !ok || c.From != from || c.To != to || c.Path() != stageChannel || !c.When().Equal(time.Now()) {
		t.Errorf("%+v", ev)
	}
}

func TestEventsOfAServer(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		synctest.Wait()
		d := &diary{}
		sub := s.sys.Subscribe(d.hear)
		if err := s.call(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.cut()
		synctest.Wait()
		s.srv.GracefulStop()
		got := d.take(ofServer)
		want := []string{"ServerConnectionUp", "ServerConnectionDown", "ServerListenerDown", "ServerState"}
		ns := names(got)
		slices.Sort(ns[min(2, len(ns)):]) // of the server and of its listener, which is told meanwhile
		if diff := cmp.Diff(want, ns); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if ev := got[1].(callboard.ServerConnectionDown); ev.Number != 1 || !ev.Up || ev.Lived != time.Minute || ev.Kind != callboard.PeerGone {
			t.Errorf("%+v", ev)
		}
		for _, ev := range got[2:] {
			switch ev := ev.(type) {
			case callboard.ServerState:
				if ev.From != "serving" || ev.To != "draining" {
					t.Errorf("%+v", ev)
				}
			case callboard.ServerListenerDown:
				if ev.Addr != s.Addr() || ev.Err != nil {
					t.Errorf("%+v", ev)
				}
			}
		}
		sub.Close()
	})
}

// What a resolver says, and what becomes of its service config.
func TestEventsOfResolving(t *testing.T) {
	r := manual.NewBuilderWithScheme("told")
	st := resolver.State{Addresses: []resolver.Address{{Addr: "stage"}}}
	r.InitialState(st)
	onStage(t, playbook{unary: echo}, []callboard.DialOption{callboard.WithResolvers(r)}, func(s *stage) {
		cc, err := s.sys.NewClient("told:///x", append(s.dialling(), callboard.WithResolvers(r))...)
		if err != nil {
			t.Fatal(err)
		}
		d := &diary{}
		cc.Connect()
		synctest.Wait()
		s.sys.Subscribe(d.hear)
		resolving := func(ev callboard.Event) bool {
			switch ev.(type) {
			case callboard.ResolverUpdated, callboard.ResolverFailed, callboard.ServiceConfigRejected, callboard.PolicySwitched:
				return true
			}
			return false
		}
		broken := errors.New("broken")
		r.UpdateState(st)
		r.CC().ReportError(broken)
		synctest.Wait()
		bad := st
		bad.ServiceConfig = &serviceconfig.ParseResult{Err: broken}
		r.UpdateState(bad)
		synctest.Wait()
		better := resolver.State{Addresses: []resolver.Address{{Addr: "stage"}, {Addr: "other"}}}
		better.ServiceConfig = r.CC().ParseServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`)
		r.UpdateState(better)
		got := d.take(resolving)
		want := []string{"ResolverUpdated", "ResolverFailed", "ResolverUpdated", "ServiceConfigRejected", "ResolverUpdated", "PolicySwitched"}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if a, b := got[0].(callboard.ResolverUpdated), got[4].(callboard.ResolverUpdated); a.Changed || !b.Changed || b.Endpoints != 2 {
			t.Errorf("%+v, %+v", a, b)
		}
		if f, c := got[1].(callboard.ResolverFailed), got[3].(callboard.ServiceConfigRejected); !errors.Is(f.Err, broken) || !errors.Is(c.Err, broken) {
			t.Errorf("%+v, %+v", f, c)
		}
		if p := got[5].(callboard.PolicySwitched); p.From != "pick_first" || p.To != "round_robin" {
			t.Errorf("%+v", p)
		}
		_ = cc.Close()
	})
}

// An actor that panics is heard of, and so is its restart.
func TestEventsOfAPanic(t *testing.T) {
	r := manual.NewBuilderWithScheme("panics")
	first := true
	r.BuildCallback = func(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) {
		if first {
			first = false
			panic("the resolver panics")
		}
		_ = cc.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: "stage"}}})
	}
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		d := &diary{}
		s.sys.Subscribe(d.hear)
		cc, err := s.sys.NewClient("panics:///x", append(s.dialling(), callboard.WithResolvers(r))...)
		if err != nil {
			t.Fatal(err)
		}
		cc.Connect()
		time.Sleep(time.Minute)
		got := d.take(func(ev callboard.Event) bool {
			switch ev.(type) {
			case callboard.ActorPanicked, callboard.ActorRestarted:
				return true
			}
			return false
		})
		if diff := cmp.Diff([]string{"ActorPanicked", "ActorRestarted"}, names(got)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		p, re := got[0].(callboard.ActorPanicked), got[1].(callboard.ActorRestarted)
		var pan *actors.Panic
		if !errors.As(p.Reason, &pan) || p.Kind != "resolver" || re.Kind != "resolver" || re.Restarts != 1 || p.Path() != re.Path() {
			t.Errorf("%+v, %+v", p, re)
		}
		if got := cc.GetState(); got != connectivity.Ready {
			t.Errorf("state %v", got)
		}
		_ = cc.Close()
	})
}

// Events cost an RPC nothing: there are none of it.
func TestRPCsPublishNothing(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		d := &diary{}
		if err := s.call(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.sys.Subscribe(d.hear)
		for range 10 {
			if err := s.call(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.take(nil); len(got) != 0 {
			t.Errorf("heard %v", names(got))
		}
	})
}

func (s *stage) dialling() []callboard.DialOption {
	return []callboard.DialOption{callboard.WithTransportCredentials(plaintext), callboard.WithContextDialer(s.dial)}
}

var plaintext = insecure.NewCredentials()
