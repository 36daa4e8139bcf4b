package actors

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The messages of the model's actor. Numbers are unique within a run.
type (
	noting  struct{ n int }    // write n down
	posting struct{ ns []int } // post these to yourself
	holding struct{ n int }    // wait until the test lets go
	failing struct{ n int }    // panic
)

// reference is the mailbox as anybody would describe it: one queue, one actor
// that takes from it unless held, suspended or stopped.
type reference struct {
	queue                          []any
	seen                           []int
	dead                           []string
	held, suspended, stop, stopped bool
	posted, processed, high        int
}

func (r *reference) tell(msg any) {
	if r.stopped {
		r.dead = append(r.dead, label(msg))
	} else {
		r.queue = append(r.queue, msg)
	}
	r.posted++
	r.settle()
}

func (r *reference) settle() {
	for !r.held && !r.stopped {
		if r.stop {
			r.stopped = true
			for _, msg := range r.queue {
				r.dead = append(r.dead, label(msg))
			}
			r.queue = nil
			return
		}
		if r.suspended || len(r.queue) == 0 {
			return
		}
		msg := r.queue[0]
		r.queue = r.queue[1:]
		r.processed++
		switch msg := msg.(type) {
		case *noting:
			r.seen = append(r.seen, msg.n)
		case *posting:
			for _, n := range msg.ns {
				r.queue = append(r.queue, &noting{n})
				r.posted++
			}
		case *holding:
			r.held = true
		case *failing:
			r.suspended = true
		}
	}
}

func label(msg any) string {
	switch msg := msg.(type) {
	case *noting:
		return fmt.Sprint("noting ", msg.n)
	case *posting:
		return fmt.Sprint("posting ", msg.ns)
	case *holding:
		return fmt.Sprint("holding ", msg.n)
	case *failing:
		return fmt.Sprint("failing ", msg.n)
	default:
		return fmt.Sprintf("%T", msg)
	}
}

// subject is the real actor, doing what the reference says.
type subject struct {
	mu      sync.Mutex
	seen    []int
	dead    []string
	letGo   chan struct{}
	started int
}

func (a *subject) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Started:
		a.started++
	case *noting:
		a.mu.Lock()
		a.seen = append(a.seen, msg.n)
		a.mu.Unlock()
	case *posting:
		for _, n := range msg.ns {
			Self[any](c).Tell(&noting{n})
		}
	case *holding:
		<-a.letGo
	case *failing:
		panic(msg.n)
	}
}

// undecided is a supervisor that leaves the decision to the test.
type undecided struct {
	sup   actor.Supervisor
	child *actor.PID
}

func (u *undecided) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, _, _ any,
) {
	u.sup, u.child = sup, child
}

// noDeadline hides Deadline, which a bubble does not allow to ask for.
type noDeadline struct{ rapid.TB }

func TestMailboxBehavesLikeAQueue(t *testing.T) {
	for name, spec := range modelled() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewSystem(nil)
				var a *subject
				as.EventStream.Subscribe(func(ev any) {
					if d, ok := ev.(*actor.DeadLetterEvent); ok {
						a.mu.Lock()
						defer a.mu.Unlock()
						a.dead = append(a.dead, label(d.Message))
					}
				})
				run := 0
				rapid.Check(noDeadline{t}, func(rt *rapid.T) {
					run++
					a = &subject{letGo: make(chan struct{})}
					walk(rt, as, a, spec(), run)
				})
			})
		})
	}
}

// modelled are the ways to run an actor that must all look the same.
func modelled() map[string]func() *Spec {
	kinds := map[string]func() *Spec{}
	for _, d := range modes {
		kinds[d.String()] = func() *Spec { return &Spec{Mode: d} }
	}
	kinds["visited"] = func() *Spec {
		visits := 0
		return &Spec{Mode: Resident, Visit: Visit{
			May: func(_ actor.Actor, msg any) bool { return label(msg) != "posting []" },
			Visited: func(actor.Actor) bool { // sometimes there is something left to do
				visits++
				return visits%3 != 0
			},
		}}
	}
	return kinds
}

// walk drives actor and reference with the same random steps and compares what
// can be seen of them after each.
func walk(rt *rapid.T, as *actor.ActorSystem, a *subject, spec *Spec, run int) {
	ref := &reference{}
	guard := &undecided{}
	table := new(Table)
	spec.Table, spec.Size, spec.Describe = table, func(any) int { return 3 }, label
	r, err := Spawn[any](as.Root.Copy().WithGuardian(guard), fmt.Sprint("actor-", run), spec, a)
	if err != nil {
		rt.Fatal(err)
	}
	// Also on a failure, so that the bubble can end.
	defer func() {
		close(a.letGo)
		r.Stop()
		synctest.Wait()
	}()
	var next, restarts int
	number := func() int { next++; return next }
	tell := func(msg any) {
		// A held inline actor holds the goroutine that told it, so each post
		// gets one of its own.
		go r.Tell(msg)
		synctest.Wait()
		ref.tell(msg)
	}
	decide := func(do func()) func(*rapid.T) {
		return func(rt *rapid.T) {
			if !ref.suspended || ref.stopped {
				rt.Skip("not suspended")
			}
			ref.suspended = false
			go do()
			synctest.Wait()
			ref.settle()
		}
	}
	letGo := func() {
		if ref.held {
			a.letGo <- struct{}{}
			synctest.Wait()
			ref.held = false
			ref.settle()
		}
	}
	rt.Repeat(map[string]func(*rapid.T){
		"note": func(*rapid.T) { tell(&noting{number()}) },
		"post": func(rt *rapid.T) {
			ns := make([]int, rapid.IntRange(0, 40).Draw(rt, "posts"))
			for i := range ns {
				ns[i] = number()
			}
			tell(&posting{ns})
		},
		"hold":  func(*rapid.T) { tell(&holding{number()}) },
		"fail":  func(*rapid.T) { tell(&failing{number()}) },
		"letGo": func(*rapid.T) { letGo() },
		"resume": decide(func() {
			guard.sup.ResumeChildren(guard.child)
		}),
		"restart": decide(func() {
			restarts++
			guard.sup.RestartChildren(guard.child)
		}),
		"stop": func(rt *rapid.T) {
			if rapid.IntRange(0, 5).Draw(rt, "rarely") > 0 {
				rt.Skip("not now")
			}
			r.Stop()
			synctest.Wait()
			ref.stop = true
			ref.settle()
		},
		"": func(rt *rapid.T) { compare(rt, r, a, ref, table, restarts) },
	})
	letGo()
	ref.stop = true
	for !ref.stopped {
		stopped := r.Probe().Done()
		go r.Stop()
		synctest.Wait()
		ref.settle()
		letGo()
		if ref.stopped {
			<-stopped
		}
	}
	synctest.Wait()
	compare(rt, r, a, ref, table, restarts)
}

func compare(rt *rapid.T, r Ref[any], a *subject, ref *reference, table *Table, restarts int) {
	rt.Helper()
	a.mu.Lock()
	seen, dead := slices.Clone(a.seen), slices.Clone(a.dead)
	a.mu.Unlock()
	if d := cmp.Diff(ref.seen, seen); d != "" {
		rt.Fatalf("messages handled (-want +got):\n%s", d)
	}
	if d := cmp.Diff(ref.dead, dead); d != "" {
		rt.Fatalf("dead letters (-want +got):\n%s", d)
	}
	var want, got []string
	for _, msg := range ref.queue {
		want = append(want, label(msg))
	}
	for _, p := range r.Probe().Mailbox().Pending(1000) {
		got = append(got, p.Detail)
	}
	if d := cmp.Diff(want, got); d != "" {
		rt.Fatalf("pending (-want +got):\n%s", d)
	}
	c := r.Probe().Mailbox().Counters()
	ref.high = max(ref.high, len(ref.queue))
	if c.HighWater < ref.high {
		rt.Fatalf("high water %d, but %d were seen waiting", c.HighWater, ref.high)
	}
	type counts struct {
		Depth, Bytes, Posted, Processed, Dead, Live, Restarts int
		Suspended, Stopped                                    bool
	}
	live := 1
	if ref.stopped {
		live = 0
	}
	if d := cmp.Diff(
		counts{
			len(ref.queue), 3 * len(ref.queue), ref.posted, ref.processed, len(ref.dead), live, restarts,
			ref.suspended, ref.stopped,
		},
		counts{
			c.Depth, int(c.Bytes), int(c.Posted), int(c.Processed), int(c.DeadLettered), table.Len(),
			r.Probe().Restarts(), c.Suspended, c.Stopped,
		},
	); d != "" {
		rt.Fatalf("counters (-want +got):\n%s", d)
	}
}
