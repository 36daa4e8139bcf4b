package actors

import (
	"bytes"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
)

func TestResidentDrainsInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		hold := make(chan struct{})
		var log []string
		r := spawn(t, as, "loopy", &Spec{Mode: Resident, Drained: func(actor.Actor) bool {
			log = append(log, "drained")
			return false
		}}, func(c actor.Context) {
			switch msg := c.Message().(type) {
			case *number:
				log = append(log, "message")
				if msg.n == 1 {
					<-hold
				}
			}
		})
		synctest.Wait()
		log = nil
		r.Tell(&number{1})
		synctest.Wait()
		for range 3 {
			r.Tell(&number{})
		}
		close(hold)
		synctest.Wait()
		want := []string{"message", "message", "message", "message", "drained"}
		if d := cmp.Diff(want, log); d != "" {
			t.Errorf("order (-want +got):\n%s", d)
		}
	})
}

func TestDrainedMayAskForAnotherLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		looks, more := 0, 3
		r := spawn(t, as, "loopy", &Spec{Mode: Resident, Drained: func(actor.Actor) bool {
			looks++
			more--
			return more > 0
		}}, func(actor.Context) {})
		synctest.Wait()
		looks, more = 0, 3
		r.Tell(&number{})
		synctest.Wait()
		if looks != 3 {
			t.Errorf("asked %d times, want 3", looks)
		}
	})
}

func TestDrainedMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		panics, handled := 0, 0
		parent := as.Root.Copy().WithGuardian(OnFailure(func(*actor.PID, any, any) Directive { return Resume }))
		r, err := Spawn[any](parent, "loopy", &Spec{Mode: Resident, Drained: func(actor.Actor) bool {
			panics++
			panic("drained")
		}}, receive(func(c actor.Context) {
			if _, ok := c.Message().(*number); ok {
				handled++
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		panics = 0
		r.Tell(&number{})
		r.Tell(&number{})
		synctest.Wait()
		if handled != 2 || panics == 0 || panics > 2 {
			t.Errorf("handled %d with %d panics", handled, panics)
		}
		stopWait(r)
	})
}

func TestResidentGoroutineEndsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		handled := 0
		r := spawn(t, as, "loopy", &Spec{Mode: Resident, Linger: time.Second}, func(c actor.Context) {
			if _, ok := c.Message().(*number); ok {
				handled++
			}
		})
		alive := func() bool {
			synctest.Wait()
			stacks := make([]byte, 1<<20)
			return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(".reside("))
		}
		for round := range 3 {
			r.Tell(&number{})
			if !alive() {
				t.Errorf("round %d: no goroutine after a message", round)
			}
			// Busy for a while: it stays.
			for range 10 {
				time.Sleep(700 * time.Millisecond)
				r.Tell(&number{})
				if !alive() {
					t.Errorf("round %d: ended although busy", round)
				}
			}
			time.Sleep(3 * time.Second)
			if alive() {
				t.Errorf("round %d: still there after 3 s", round)
			}
		}
		if handled != 33 {
			t.Errorf("handled %d, want 33", handled)
		}
	})
}

func TestResidentGoroutineEndsWithItsActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a goroutine left fails the bubble
		as := NewSystem(nil)
		r, err := Spawn[any](as.Root, "loopy", &Spec{Mode: Resident, Linger: time.Hour}, receive(func(actor.Context) {}))
		if err != nil {
			t.Fatal(err)
		}
		stopWait(r)
		r.Tell(&number{})
		as.Root.Stop(r.PID())
		if n := r.Probe().Mailbox().Counters().DeadLettered; n != 1 {
			t.Errorf("%d dead letters, want 1", n)
		}
	})
}

func TestVisitorsRunAnIdleResident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		var may, all bool
		var log []string
		where := func() string {
			var b [1 << 12]byte
			if bytes.Contains(b[:runtime.Stack(b[:], false)], []byte("(*residence).reside(")) {
				return "at home"
			}
			return "visited"
		}
		spec := &Spec{
			Mode: Resident,
			Visit: Visit{May: func(actor.Actor, any) bool { return may }, Visited: func(actor.Actor) bool {
				log = append(log, "left by the visitor")
				return all
			}},
			Drained: func(actor.Actor) bool {
				log = append(log, "drained")
				return false
			},
		}
		r := spawn(t, as, "loopy", spec, func(c actor.Context) {
			if _, ok := c.Message().(*number); ok {
				log = append(log, where())
			}
		})
		synctest.Wait()
		for _, c := range []struct {
			may, all bool
			want     []string
		}{
			{false, false, []string{"at home", "drained"}},
			{true, true, []string{"visited", "left by the visitor"}},
			{true, false, []string{"visited", "left by the visitor", "drained"}},
			{false, true, []string{"at home", "drained"}},
		} {
			may, all, log = c.may, c.all, nil
			r.Tell(&number{})
			synctest.Wait()
			if d := cmp.Diff(c.want, log); d != "" {
				t.Errorf("may %t, all %t (-want +got):\n%s", c.may, c.all, d)
			}
		}
	})
}

func TestAVisitThatPanicsIsTheActorsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		panics, handled := 0, 0
		parent := as.Root.Copy().WithGuardian(OnFailure(func(*actor.PID, any, any) Directive { return Resume }))
		r, err := Spawn[any](parent, "loopy", &Spec{Mode: Resident, Visit: Visit{
			May: func(actor.Actor, any) bool { return true },
			Visited: func(actor.Actor) bool {
				panics++
				panic("visited")
			},
		}}, receive(func(c actor.Context) {
			if _, ok := c.Message().(*number); ok {
				handled++
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range 3 {
			r.Tell(&number{})
			synctest.Wait()
		}
		if panics != 3 || handled != 3 {
			t.Errorf("%d panics, %d handled; want 3 and 3", panics, handled)
		}
		r.Stop()
		synctest.Wait()
	})
}

func TestAVisitorLeavesAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		var log []string
		parent := as.Root.Copy().WithGuardian(OnFailure(func(*actor.PID, any, any) Directive { return Stop }))
		r, err := Spawn[any](parent, "loopy", &Spec{Mode: Resident, Visit: Visit{
			May:     func(actor.Actor, any) bool { return true },
			Visited: func(actor.Actor) bool { log = append(log, "visited"); return true },
		}}, receive(func(c actor.Context) {
			switch c.Message().(type) {
			case *number:
				panic("half done")
			case *actor.Stopped:
				log = append(log, "stopped")
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.Tell(&number{})
		synctest.Wait()
		if d := cmp.Diff([]string{"stopped"}, log); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
