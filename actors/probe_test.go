package actors

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
)

func TestCountersAgeInAStuckActor(t *testing.T) {
	for _, d := range modes {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := NewSystem(nil)
				hold := make(chan struct{})
				r := spawn(t, as, "a", &Spec{Mode: d}, func(c actor.Context) {
					if msg, ok := c.Message().(*order); ok {
						msg.do(c)
					}
				})
				began := time.Now()
				go r.Tell(&order{func(actor.Context) { <-hold }})
				synctest.Wait()
				mb := r.Probe().Mailbox()
				mb.Counters() // an inline actor's message is timed from the first look
				time.Sleep(time.Second)
				r.Tell(&number{1})
				time.Sleep(2 * time.Second)
				r.Tell(&number{2})
				time.Sleep(3 * time.Second)

				c := mb.Counters()
				if c.Depth != 2 || c.OldestAge != 5*time.Second || c.Current != "*actors.order" {
					t.Errorf("counters %+v", c)
				}
				if !c.CurrentSince.Equal(began) {
					t.Errorf("current since %v, want %v", c.CurrentSince.Sub(began), 0)
				}
				want := []Pending{
					{Type: "*actors.number", Age: 5 * time.Second},
					{Type: "*actors.number", Age: 3 * time.Second},
				}
				if d := cmp.Diff(want, mb.Pending(5)); d != "" {
					t.Errorf("pending (-want +got):\n%s", d)
				}
				if d := cmp.Diff(want[:1], mb.Pending(1)); d != "" {
					t.Errorf("pending, bounded (-want +got):\n%s", d)
				}
				close(hold)
				synctest.Wait()
				c = mb.Counters()
				if c.Depth != 0 || c.OldestAge != 0 || c.Current != "" || c.HighWater != 2 || c.Processed != 3 {
					t.Errorf("at rest: %+v", c)
				}
				if d != Inline && c.Busy != 6*time.Second {
					t.Errorf("busy %v, want 6s", c.Busy)
				}
			})
		})
	}
}

// Somebody who queues behind an inline message gives it a time, so that an
// inspector who comes late still learns that the actor is stuck.
func TestWaitingMessageDatesTheCurrentOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		hold := make(chan struct{})
		r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
			if msg, ok := c.Message().(*order); ok {
				msg.do(c)
			}
		})
		go r.Tell(&order{func(actor.Context) { <-hold }})
		synctest.Wait()
		r.Tell(&number{})
		time.Sleep(time.Minute)
		if age := time.Since(r.Probe().Mailbox().Counters().CurrentSince); age != time.Minute {
			t.Errorf("current for %v, want a minute", age)
		}
		close(hold)
	})
}

func TestEnvelopesAreShownByTheirContent(t *testing.T) {
	as := NewSystem(nil)
	var got []Pending
	r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
		if msg, ok := c.Message().(*order); ok {
			msg.do(c)
		}
	})
	r.Tell(&order{func(c actor.Context) {
		c.Request(c.Self(), &number{})
		got = r.Probe().Mailbox().Pending(1)
	}})
	if len(got) != 1 || got[0].Type != "*actors.number" {
		t.Errorf("pending %+v", got)
	}
}

func TestProbe(t *testing.T) {
	as := NewSystem(nil)
	table := new(Table)
	r := spawn(t, as, "a", &Spec{Kind: "thing", Mode: Goroutine, Table: table}, func(actor.Context) {})
	p := r.Probe()
	if p.Path() != "a" || p.Kind() != "thing" || p.Mode() != Goroutine || p.State() != "" || p.Detail() != nil ||
		p.Transitions() != nil || p.LastFailure() != nil || p.Restarts() != 0 || time.Since(p.Started()) > time.Minute {
		t.Errorf("fresh probe %+v", p)
	}
	p.SetState("open")
	p.SetDetail(7)
	if p.State() != "open" || p.Detail() != 7 {
		t.Errorf("state %q, detail %v", p.State(), p.Detail())
	}
	for i := range ringSize + 3 {
		p.Record(Transition{From: fmt.Sprint(i), To: fmt.Sprint(i + 1), On: "step"})
	}
	log := p.Transitions()
	if len(log) != ringSize || log[0].From != "3" || log[ringSize-1].To != fmt.Sprint(ringSize+3) {
		t.Errorf("transitions %v", log)
	}
	p.SetView(viewed{})
	if p.State() != "viewed" || p.Detail() != 42 {
		t.Errorf("viewed state %q, detail %v", p.State(), p.Detail())
	}
	if table.Find("a") != p || table.Find("b") != nil {
		t.Error("the table does not find the actor by its path")
	}
	if n := testing.AllocsPerRun(100, func() { p.SetState("open"); p.Record(log[0]) }); n != 0 {
		t.Errorf("publishing a state allocates %v times", n)
	}
}

type viewed struct{}

func (viewed) ProbeState() string { return "viewed" }
func (viewed) ProbeDetail() any   { return 42 }

func TestInternIsBounded(t *testing.T) {
	for i := range 2 * internLimit {
		name := fmt.Sprint("state ", i)
		if got := *intern(name); got != name {
			t.Fatalf("interned %q as %q", name, got)
		}
	}
	if n := len(*interned.Load()); n > internLimit {
		t.Errorf("%d names are kept", n)
	}
}

func TestTableListsByPath(t *testing.T) {
	as := NewSystem(nil)
	table := new(Table)
	spec := &Spec{Table: table}
	var inner Ref[any]
	outer := spawn(t, as, "b", spec, func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			inner, _ = Spawn[any](c, "x", spec, receive(func(actor.Context) {}))
		}
	})
	for i := range 40 {
		spawn(t, as, fmt.Sprintf("c%02d", i), spec, func(actor.Context) {})
	}
	spawn(t, as, "a", spec, func(actor.Context) {})
	list := table.Snapshot()
	if len(list) != 43 || table.Len() != 43 || list[0].Path() != "a" || list[1] != outer.Probe() ||
		list[2] != inner.Probe() || list[42].Path() != "c39" {
		t.Errorf("%d listed, %d counted", len(list), table.Len())
	}
	table.Remove(newProbe()) // never listed: nothing happens
	stopWait(inner)
	if table.Len() != 42 || table.Spawned() != 43 {
		t.Errorf("%d of %d", table.Len(), table.Spawned())
	}
	inner.Tell(&number{})
	if n := table.DeadLetters(); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

func TestSpawnRefusesATakenName(t *testing.T) {
	as := NewSystem(nil)
	table := new(Table)
	spawn(t, as, "a", &Spec{Table: table}, func(actor.Context) {})
	r, err := Spawn[any](as.Root, "a", &Spec{Table: table, Mode: Resident}, receive(func(actor.Context) {}))
	if err == nil || r.Valid() || table.Len() != 1 {
		t.Errorf("second actor of a name: %v, %v, %d listed", r, err, table.Len())
	}
}

func TestZeroRefDiscards(t *testing.T) {
	var r Ref[*number]
	before := Discarded()
	r.Tell(&number{})
	r.Stop()
	if Discarded() != before+1 || r.Valid() || r.PID() != nil || r.Probe() != nil || r.Depth() != 0 {
		t.Error("the zero Ref is not inert")
	}
}

func TestSelfOutsideOfSpawnIsZero(t *testing.T) {
	as := NewSystem(nil)
	seen := make(chan bool, 1)
	pid := as.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			seen <- Self[any](c).Valid() || ProbeOf(c) != nil
		}
	}))
	if <-seen {
		t.Error("a foreign actor has a Ref")
	}
	_ = as.Root.StopFuture(pid).Wait()
}

func TestSystemPrintsNoMessages(t *testing.T) {
	var out strings.Builder
	as := NewSystem(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r := spawn(t, as, "a", &Spec{}, func(actor.Context) {})
	type secret struct{ payload string }
	r.m.PostSystemMessage(&secret{"hunter2"}) // protoactor logs it as unknown
	as.Logger().InfoContext(context.Background(), "chatter")
	stopWait(r)
	r.Tell(&secret{"hunter2"})
	as.Root.Send(r.PID(), &secret{"hunter2"})
	got := out.String()
	if strings.Contains(got, "hunter2") || strings.Contains(got, "chatter") || !strings.Contains(got, "actors.secret") {
		t.Errorf("logged:\n%s", got)
	}
}

func TestWatchingTheDeadIsAnswered(t *testing.T) {
	as := NewSystem(nil)
	told := make(chan *actor.PID, 1)
	gone := spawn(t, as, "gone", &Spec{}, func(actor.Context) {})
	watcher := spawn(t, as, "watcher", &Spec{}, func(c actor.Context) {
		switch msg := c.Message().(type) {
		case *order:
			msg.do(c)
		case *actor.Terminated:
			told <- msg.Who
		}
	})
	gone.Stop()
	watcher.Tell(&order{func(c actor.Context) { c.Watch(gone.PID()) }})
	if who := <-told; who.Id != "gone" {
		t.Errorf("told about %v", who)
	}
}
