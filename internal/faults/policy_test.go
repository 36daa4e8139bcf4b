package faults_test

import (
	"sync/atomic"
	"testing"

	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/roundrobin"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard"
)

// brittle is grpc-go's round_robin, but for a panic where it is told to.
type brittle struct {
	where string
	skip  atomic.Int32 // calls of that kind that go well before
	left  atomic.Int32 // panics
	built atomic.Int32
}

func (b *brittle) panicIn(where string) {
	if b.where == where && b.skip.Add(-1) < 0 && b.left.Add(-1) >= 0 {
		panic("the policy is broken in " + where)
	}
}

func (b *brittle) Name() string { return "brittle" }

func (b *brittle) Build(cc grpcbalancer.ClientConn, o grpcbalancer.BuildOptions) grpcbalancer.Balancer {
	b.panicIn("Build")
	b.built.Add(1)
	return &brittleBalancer{Balancer: grpcbalancer.Get(roundrobin.Name).Build(&brittleConn{cc, b}, o), b: b}
}

type brittleBalancer struct {
	grpcbalancer.Balancer
	b *brittle
}

func (bb *brittleBalancer) UpdateClientConnState(s grpcbalancer.ClientConnState) error {
	bb.b.panicIn("UpdateClientConnState")
	err := bb.Balancer.UpdateClientConnState(s)
	bb.b.panicIn("behind UpdateClientConnState")
	return err
}

func (bb *brittleBalancer) ResolverError(err error) {
	bb.b.panicIn("ResolverError")
	bb.Balancer.ResolverError(err)
}

func (bb *brittleBalancer) Close() {
	bb.b.panicIn("Close")
	bb.Balancer.Close()
}

// brittleConn hears what the policy's SubConns go through.
type brittleConn struct {
	grpcbalancer.ClientConn
	b *brittle
}

func (bc *brittleConn) NewSubConn(a []grpcresolver.Address, o grpcbalancer.NewSubConnOptions) (grpcbalancer.SubConn, error) {
	hear := o.StateListener
	o.StateListener = func(s grpcbalancer.SubConnState) {
		bc.b.panicIn("StateListener")
		hear(s)
	}
	return bc.ClientConn.NewSubConn(a, o) //nolint:staticcheck // what every policy of grpc-go calls
}

// A policy that panics is built anew. What it had offered serves meanwhile:
// streams go on, calls that wait find a connection, and those that fail fast say
// UNAVAILABLE at worst.
func TestPolicyPanics(t *testing.T) {
	for where, skip := range map[string]int32{
		"Build":                        0,
		"UpdateClientConnState":        1,
		"behind UpdateClientConnState": 1,
		"ResolverError":                0,
		"StateListener":                9, // two are CONNECTING and READY of each
		"Close":                        0,
	} {
		t.Run(where, func(t *testing.T) {
			f := newFleet(t, 3, limits{})
			f.Addresses(f.addrs()...)
			b := &brittle{where: where}
			b.skip.Store(skip)
			b.left.Store(1)
			cc, sys := f.client(t, "brittle", callboard.WithBalancers(b))
			l := newLoad(t, f.led)
			l.waiting(4, cc)
			l.hasty(2, cc)
			l.progress(50)
			d := l.begin(t, cc)
			for i := range 10 {
				// Members change, and with them the states of SubConns.
				f.say([]int{i % 3, (i + 1) % 3})
				f.Fail(errNoAnswer)
				l.progress(20)
				d.turn(l)
			}
			if where == "Close" {
				// It is closed when another policy takes over.
				f.Set(f.answer(`{"loadBalancingConfig":[{"pick_first":{}}]}`))
				l.progress(20)
			}
			comesTo(t, "it has panicked", func() bool { return b.left.Load() <= 0 })
			d.turn(l)
			switch where {
			case "Close":
				f.Set(f.answer(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
			case "Build":
				comesTo(t, "it is built again", func() bool { return b.built.Load() == 1 })
			default:
				comesTo(t, "it is built again", func() bool { return b.built.Load() == 2 })
			}
			f.Addresses(f.addrs()...)
			f.allUsed(t, l, cc)
			l.progress(50)
			d.turn(l)
			d.finish(l)
			l.end()
			f.led.once(t)
			comesTo(t, "the old policy's connections are gone", func() bool { return actorsOf(sys, "conn") <= len(f.all) })
		})
	}
}

// A policy that panics whatever it is told fails what fails fast, with a status,
// and does so at leisure. A better one from the resolver ends that.
func TestPolicyThatAlwaysPanics(t *testing.T) {
	f := newFleet(t, 2, limits{})
	f.Addresses(f.addrs()...)
	b := &brittle{where: "UpdateClientConnState"}
	b.left.Store(1 << 20)
	cc, _ := f.client(t, "brittle", callboard.WithBalancers(b))
	l := newLoad(t, f.led)
	l.hasty(2, cc)
	comesTo(t, "calls fail", func() bool { return l.failed.Load() > 50 })
	if n := 1<<20 - b.left.Load(); n > 5 {
		t.Errorf("it was built and has panicked %d times in no time", n)
	}
	l.waiting(2, cc)
	f.Set(f.answer(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	l.progress(100)
	l.end()
	f.led.once(t)
}
