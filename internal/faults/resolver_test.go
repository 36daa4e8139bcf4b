package faults_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/resolver"
)

var errNoAnswer = errors.New("no answer from the name server")

// What the resolver fails to say changes nothing for anybody: the last good
// answer is in force.
func TestResolverErrorsUnderLoad(t *testing.T) {
	for name, fail := range map[string]func(f *fleet){
		"errors":                     func(f *fleet) { f.Fail(errNoAnswer) },
		"a broken service config":    func(f *fleet) { f.Set(f.answer(`{"loadBalancingConfig":[`)) },
		"an unknown policy":          func(f *fleet) { f.Set(f.answer(`{"loadBalancingConfig":[{"no_such_policy":{}}]}`)) },
		"a service config's failure": func(f *fleet) { a := f.answer(""); a.ConfigErr = errNoAnswer; f.Set(a) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3, limits{})
			f.Addresses(f.addrs()...)
			cc, _ := f.client(t, "round_robin")
			l := newLoad(t, f.led)
			l.workers(4, func() error { // they fail fast, if at all
				id, err := l.call(cc)
				if err != nil {
					l.wrong("call %s: %v", id, err)
				}
				return err
			})
			l.progress(20)
			d := l.begin(t, cc)
			for range less(30, 10) {
				fail(f)
				d.turn(l)
				l.progress(10)
				f.Addresses(f.addrs()...)
				l.progress(10)
			}
			d.finish(l)
			l.end()
			f.led.once(t)
			f.allUsed(t, l, cc)
		})
	}
}

func (f *fleet) answer(serviceConfig string) resolver.Answer {
	a := resolver.Answer{ServiceConfig: serviceConfig}
	for _, addr := range f.addrs() {
		a.Endpoints = append(a.Endpoints, grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: addr}}})
	}
	return a
}

// A resolver that says that there is nobody empties the channel: what fails fast
// fails, what waits waits, streams finish. When there is somebody again all is
// well.
func TestEmptyListsUnderLoad(t *testing.T) {
	for _, policy := range []string{"round_robin", "least_request_experimental", "pick_first"} {
		t.Run(policy, func(t *testing.T) {
			f := newFleet(t, 3, limits{})
			f.Addresses(f.addrs()...)
			cc, sys := f.client(t, policy)
			l := newLoad(t, f.led)
			l.waiting(4, cc)
			l.hasty(2, cc)
			var open []*dialogue
			for range less(20, 5) {
				l.progress(20)
				open = append(open, l.begin(t, cc))
				f.Addresses()
				comesTo(t, "the channel has nobody", func() bool { return cc.GetState() == connectivity.TransientFailure })
				if id, err := l.call(cc); status.Code(err) != codes.Unavailable {
					t.Errorf("call %s of nobody: %v", id, err)
				}
				for _, d := range open {
					d.turn(l)
				}
				f.Addresses(f.addrs()...)
			}
			l.progress(20)
			for _, d := range open {
				d.finish(l)
			}
			l.end()
			f.led.once(t)
			comesTo(t, "the drained connections are gone", func() bool { return actorsOf(sys, "conn") <= len(f.all) })
		})
	}
}

// broken is a resolver that panics where it is told to, once.
type broken struct {
	addr   string
	where  string
	left   atomic.Int32
	builds atomic.Int32
}

func (b *broken) panicIn(where string) {
	if b.where == where && b.left.Add(-1) >= 0 {
		panic("the resolver is broken in " + where)
	}
}

func (b *broken) Scheme() string { return "broken" }

func (b *broken) Build(_ grpcresolver.Target, cc grpcresolver.ClientConn, _ grpcresolver.BuildOptions) (grpcresolver.Resolver, error) {
	b.panicIn("Build")
	b.builds.Add(1)
	_ = cc.UpdateState(grpcresolver.State{Addresses: []grpcresolver.Address{{Addr: b.addr}}})
	b.panicIn("Build, with an answer")
	return b, nil
}

func (b *broken) ResolveNow(grpcresolver.ResolveNowOptions) { b.panicIn("ResolveNow") }
func (b *broken) Close()                                    { b.panicIn("Close") }

// A resolver that panics is built anew. Meanwhile what was resolved before
// serves; where nothing was, calls that fail fast say so.
func TestResolverPanics(t *testing.T) {
	for _, where := range []string{"Build", "Build, with an answer", "ResolveNow", "Close"} {
		t.Run(where, func(t *testing.T) {
			led := newLedger()
			s := start(t, "callboard", limits{}, newBackend(led))
			p := newProxy(t, s.addr)
			b := &broken{addr: p.addr(), where: where}
			b.left.Store(1)
			cc, _ := client(t, "broken:///x", callboard.WithResolvers(b))
			l := newLoad(t, led)
			l.waitingUnlessLost(2, cc)
			l.hasty(2, cc)
			l.progress(100)
			for range 3 {
				p.reset() // for which the channel asks the resolver
				l.progress(100)
			}
			want := int32(2)
			if where == "Build" || where == "Close" { // it is only built once, and closed at the end
				want = 1
			}
			comesTo(t, "it is built again", func() bool { return b.builds.Load() == want })
			l.progress(100)
			l.end()
			led.once(t)
		})
	}
}
