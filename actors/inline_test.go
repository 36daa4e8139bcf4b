package actors

import (
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

func TestInlineRunsOnTheSender(t *testing.T) {
	as := NewSystem(nil)
	got := 0
	r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
		if msg, ok := c.Message().(*number); ok {
			got = msg.n // no lock: it is this goroutine
		}
	})
	r.Tell(&number{7})
	if got != 7 {
		t.Errorf("after Tell the actor has seen %d, want 7", got)
	}
}

func TestInlineQueuesWhatAnActorTellsItself(t *testing.T) {
	as := NewSystem(nil)
	depth, deepest, handled := 0, 0, 0
	r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
		msg, ok := c.Message().(*number)
		if !ok {
			return
		}
		depth++
		deepest = max(deepest, depth)
		handled++
		if msg.n > 0 {
			Self[any](c).Tell(&number{msg.n - 1})
		}
		depth--
	})
	r.Tell(&number{10})
	if deepest != 1 || handled != 11 {
		t.Errorf("handled %d at depth %d, want 11 at depth 1", handled, deepest)
	}
}

func TestInlineCycleDoesNotRecurse(t *testing.T) {
	as := NewSystem(nil)
	var a, b Ref[any]
	depth, deepest := 0, 0
	pong := func(other *Ref[any]) receive {
		return func(c actor.Context) {
			if msg, ok := c.Message().(*number); ok && msg.n > 0 {
				depth++
				deepest = max(deepest, depth)
				other.Tell(&number{msg.n - 1})
				depth--
			}
		}
	}
	a = spawn(t, as, "a", &Spec{}, pong(&b))
	b = spawn(t, as, "b", &Spec{}, pong(&a))
	a.Tell(&number{14})
	if deepest > 2 {
		t.Errorf("two actors went %d deep", deepest)
	}
}

func TestInlineHandsOverAfterSixteen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		hold := make(chan struct{})
		handled := 0
		r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
			msg, ok := c.Message().(*number)
			if !ok {
				return
			}
			handled++
			for i := range msg.n {
				_ = i
				Self[any](c).Tell(&number{})
			}
			if handled == int(foreignLimit)+1 {
				<-hold
			}
		})
		r.Tell(&number{30}) // would not return if it ran the seventeenth
		synctest.Wait()
		if d := r.Depth(); d != 14 {
			t.Errorf("%d are waiting, want 14", d)
		}
		r.Tell(&number{}) // the actor runs elsewhere: this one queues
		close(hold)
		synctest.Wait()
		if handled != 32 {
			t.Errorf("handled %d, want 32", handled)
		}
	})
}

func TestInlineTellDoesNotAllocate(t *testing.T) {
	as := NewSystem(nil)
	r := spawn(t, as, "a", &Spec{Table: new(Table)}, func(actor.Context) {})
	msg := &number{1}
	typed := Cast[*number](r)
	for name, tell := range map[string]func(){
		"ref":       func() { r.Tell(msg) },
		"typed ref": func() { typed.Tell(msg) },
		"pid":       func() { as.Root.Send(r.PID(), msg) },
	} {
		if n := testing.AllocsPerRun(1000, tell); n != 0 {
			t.Errorf("%s: %v allocations per message", name, n)
		}
	}
}

func TestGoroutineActorMayBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		data := make(chan int)
		var got []int
		r := spawn(t, as, "reader", &Spec{Mode: Goroutine}, func(c actor.Context) {
			if _, ok := c.Message().(*number); ok {
				got = append(got, <-data)
			}
		})
		for range 3 {
			r.Tell(&number{})
		}
		synctest.Wait()
		if d := r.Depth(); d != 2 {
			t.Errorf("%d are waiting behind the blocked one, want 2", d)
		}
		for i := range 3 {
			data <- i
		}
		synctest.Wait()
		if len(got) != 3 {
			t.Errorf("handled %d, want 3", len(got))
		}
	})
}
