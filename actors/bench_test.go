package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// counting is the cheapest actor there is.
type counting struct{ n int }

func (a *counting) Receive(c actor.Context) {
	if _, ok := c.Message().(*number); ok {
		a.n++
	}
}

func stock(b *testing.B, d actor.Dispatcher, a actor.Actor) (*actor.ActorSystem, *actor.PID) {
	b.Helper()
	as := NewSystem(nil)
	pid := as.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return a },
		actor.WithDispatcher(d), actor.WithMailbox(actor.Unbounded())))
	b.Cleanup(func() { _ = as.Root.StopFuture(pid).Wait() })
	return as, pid
}

// BenchmarkTell posts to an idle actor: the cost of one synchronous hop.
func BenchmarkTell(b *testing.B) {
	msg := &number{1}
	b.Run("callboard/ref", func(b *testing.B) {
		r := spawnBench(b, &Spec{Mode: Inline}, &counting{})
		b.ReportAllocs()
		for b.Loop() {
			r.Tell(msg)
		}
	})
	b.Run("callboard/pid", func(b *testing.B) {
		r := spawnBench(b, &Spec{Mode: Inline}, &counting{})
		root, pid := r.m.system.Root, r.PID()
		b.ReportAllocs()
		for b.Loop() {
			root.Send(pid, msg)
		}
	})
	b.Run("stock/synchronized", func(b *testing.B) {
		as, pid := stock(b, actor.NewSynchronizedDispatcher(300), &counting{})
		b.ReportAllocs()
		for b.Loop() {
			as.Root.Send(pid, msg)
		}
	})
}

// BenchmarkFlood posts b.N messages from two senders and waits for the last.
func BenchmarkFlood(b *testing.B) {
	for _, d := range modes {
		b.Run("callboard/"+d.String(), func(b *testing.B) {
			a := &tallying{done: make(chan struct{})}
			r := spawnBench(b, &Spec{Mode: d}, a)
			flood(b, a, r.Tell)
		})
	}
	dispatchers := map[string]actor.Dispatcher{
		"synchronized": actor.NewSynchronizedDispatcher(300),
		"goroutine":    actor.NewDefaultDispatcher(300),
	}
	for name, d := range dispatchers {
		b.Run("stock/"+name, func(b *testing.B) {
			a := &tallying{done: make(chan struct{})}
			as, pid := stock(b, d, a)
			flood(b, a, func(msg any) { as.Root.Send(pid, msg) })
		})
	}
}

// BenchmarkRoundTrip wakes an actor that has a goroutine of its own and waits
// for its answer.
func BenchmarkRoundTrip(b *testing.B) {
	for _, d := range []Mode{Goroutine, Resident} {
		b.Run("callboard/"+d.String(), func(b *testing.B) {
			back := make(chan struct{}, 1)
			r := spawnBench(b, &Spec{Mode: d}, receive(func(c actor.Context) { echo(c, back) }))
			roundTrip(b, back, r.Tell)
		})
	}
	b.Run("stock/goroutine", func(b *testing.B) {
		back := make(chan struct{}, 1)
		as, pid := stock(b, actor.NewDefaultDispatcher(300), receive(func(c actor.Context) { echo(c, back) }))
		roundTrip(b, back, func(msg any) { as.Root.Send(pid, msg) })
	})
}

func echo(c actor.Context, back chan struct{}) {
	if _, ok := c.Message().(*number); ok {
		back <- struct{}{}
	}
}

func roundTrip(b *testing.B, back chan struct{}, tell func(any)) {
	msg := &number{1}
	b.ReportAllocs()
	for b.Loop() {
		tell(msg)
		<-back
	}
}

// tallying closes done at its want-th message.
type tallying struct {
	n    int
	want atomic.Int64
	done chan struct{}
}

func (a *tallying) Receive(c actor.Context) {
	if _, ok := c.Message().(*number); ok {
		a.n++
		if int64(a.n) == a.want.Load() {
			close(a.done)
		}
	}
}

func flood(b *testing.B, a *tallying, tell func(any)) {
	const senders = 2
	each := (b.N + senders - 1) / senders
	a.want.Store(int64(each * senders))
	msg := &number{1}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range each {
				tell(msg)
				if i%256 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	<-a.done
}

// BenchmarkSpawn spawns and stops, as a connection does when it grows a slot.
func BenchmarkSpawn(b *testing.B) {
	as := NewSystem(nil)
	spec := &Spec{Kind: "bench", Table: new(Table)}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Spawn[any](as.Root, "bench", spec, &counting{})
		if err != nil {
			b.Fatal(err)
		}
		r.Stop()
	}
}

func BenchmarkTable(b *testing.B) {
	t := new(Table)
	for range 10_000 {
		t.Add(newProbe())
	}
	p := newProbe()
	b.ReportAllocs()
	for b.Loop() {
		t.Add(p)
		t.Remove(p)
	}
}

func newProbe() *Probe { return newMailbox(&Spec{}).probe() }

func BenchmarkTimerReset(b *testing.B) {
	t := NewTimer(func(uint64) {})
	defer t.Close()
	b.ReportAllocs()
	for b.Loop() {
		t.Reset(10 * time.Second)
		t.Stop()
	}
}

func BenchmarkSlots(b *testing.B) {
	var s Slots[[64]byte]
	b.ReportAllocs()
	for b.Loop() {
		i, _ := s.Take()
		s.Free(i)
	}
}

func BenchmarkRecord(b *testing.B) {
	p := newProbe()
	tr := Transition{At: time.Now(), From: "idle", To: "open", On: "HEADERS"}
	b.ReportAllocs()
	for b.Loop() {
		p.Record(tr)
		p.SetState("open")
	}
}

func spawnBench(b *testing.B, spec *Spec, a actor.Actor) Ref[any] {
	b.Helper()
	r, err := Spawn[any](NewSystem(nil).Root, "bench", spec, a)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stopWait(r) })
	return r
}
