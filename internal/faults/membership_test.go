package faults_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/callboard-rpc/callboard"
)

// Backends appear and vanish under thousands of calls. None fails, each reaches
// exactly one handler, once; who is new gets calls, who has vanished gets no more
// and finishes the streams it has.
func TestBackendsAppearAndVanish(t *testing.T) {
	for policy, calls := range map[string]int{
		"round_robin": less(10_000, 1000), "least_request_experimental": less(4000, 500), "pick_first": less(4000, 500),
	} {
		t.Run(policy, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			f := newFleet(t, 5, limits{})
			f.Addresses(f.all[0].addr)
			cc, sys := f.client(t, policy)
			l := newLoad(t, f.led)
			answered := make(map[string]bool)
			var mu sync.Mutex
			const workers = 8
			for w := range workers {
				l.all.Go(func() {
					for i := range calls / workers {
						// Every other one fails fast: there is always somebody.
						id, err := l.call(cc, grpc.WaitForReady((w+i)%2 == 0))
						if err != nil {
							l.wrong("call %s: %v", id, err)
						}
						mu.Lock()
						answered[id] = err == nil
						mu.Unlock()
						l.ok.Add(1)
					}
				})
			}
			total := int64(calls / workers * workers)
			var in []int
			var open []*dialogue
			for l.ok.Load() < total && l.bad() == nil {
				in = members(r, len(f.all))
				f.say(in)
				if len(open) < less(40, 10) {
					open = append(open, l.begin(t, cc))
				}
				for _, d := range open {
					d.turn(l)
				}
				f.heard(t, l, policy, in, total)
			}
			l.all.Wait()
			close(l.done)
			for _, d := range open {
				d.turn(l)
				d.finish(l)
			}
			if err := l.bad(); err != nil {
				t.Error(err)
			}
			f.exactlyOnce(t, answered, open)
			f.settled(t, l, cc, policy, in)
			comesTo(t, "connections to those that vanished are gone", func() bool { return actorsOf(sys, "conn") <= len(in) })
		})
	}
}

// members chooses one to n of n.
func members(r *rand.Rand, n int) []int {
	return r.Perm(n)[:1+r.IntN(n)]
}

func (f *fleet) say(in []int) {
	var list []string
	for _, i := range in {
		list = append(list, f.all[i].addr)
	}
	f.Addresses(list...)
}

// heard waits until those who are in have got calls since they are, as far as
// the policy gives them any.
func (f *fleet) heard(t *testing.T, l *load, policy string, in []int, total int64) {
	t.Helper()
	f.served()
	got := make([]int64, len(f.all))
	comesTo(t, "those who are in get calls", func() bool {
		for i, n := range f.served() {
			got[i] += n
		}
		used := 0
		for _, i := range in {
			if got[i] > 0 {
				used++
			}
		}
		return used == len(in) || policy == "pick_first" && used > 0 || l.ok.Load() >= total || l.bad() != nil
	})
}

func (f *fleet) exactlyOnce(t *testing.T, answered map[string]bool, open []*dialogue) {
	t.Helper()
	f.led.once(t)
	for id := range answered {
		if f.led.started(id) != 1 {
			t.Errorf("call %s reached a handler %d times", id, f.led.started(id))
		}
	}
	for _, d := range open {
		if f.led.started(d.id) != 1 {
			t.Errorf("stream %s reached a handler %d times", d.id, f.led.started(d.id))
		}
	}
}

// settled checks that what is out gets nothing any more.
func (f *fleet) settled(t *testing.T, l *load, cc *callboard.ClientConn, policy string, in []int) {
	t.Helper()
	quiet := func() bool {
		f.served()
		for range 30 {
			if id, err := l.call(cc); err != nil {
				t.Fatalf("call %s: %v", id, err)
			}
		}
		n := f.served()
		for i := range n {
			if n[i] > 0 && !slices.Contains(in, i) {
				return false
			}
		}
		return true
	}
	comesTo(t, "only those who are in get calls", quiet)
	for range 5 {
		if !quiet() {
			t.Errorf("%s: somebody who has vanished gets calls again", policy)
		}
	}
}

// dialogue is a stream that outlives the membership of its server.
type dialogue struct {
	id string
	cs grpc.ClientStream
	n  int
}

func (l *load) begin(t *testing.T, cc grpc.ClientConnInterface) *dialogue {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ctx, id := l.led.id(ctx)
	cs, err := cc.NewStream(ctx, bidi, chat, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	return &dialogue{id: id, cs: cs}
}

// turn is one message there and back.
func (d *dialogue) turn(l *load) {
	want := strconv.Itoa(d.n)
	d.n++
	if err := d.cs.SendMsg(say(want)); err != nil {
		l.wrong("stream %s: send %s: %v", d.id, want, err)
		return
	}
	m := new(text)
	if err := d.cs.RecvMsg(m); err != nil || m.GetValue() != want {
		l.wrong("stream %s: received %q, want %s: %v", d.id, m.GetValue(), want, err)
	}
}

// finish ends it well.
func (d *dialogue) finish(l *load) {
	_ = d.cs.CloseSend()
	if err := d.cs.RecvMsg(new(text)); !errors.Is(err, io.EOF) {
		l.wrong("stream %s ended with %v", d.id, err)
	}
}
