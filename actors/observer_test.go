package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
)

// seen is one call of an Observer, as far as a test can foresee it.
type seen struct {
	Path, From, To, On string
	At                 time.Duration
	Detail             any
}

// The observer of a table hears of transitions, what is published, panics and
// restarts, in order, and of nothing when it is taken off.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, table, began := NewSystem(nil), &Table{}, time.Now()
		var got []seen
		observe := func(p *Probe, tr Transition, detail any) {
			if f, ok := detail.(*Failure); ok {
				detail = f.Reason.Value.(string) + " on " + f.Message
			}
			got = append(got, seen{Path: p.Path(), From: tr.From, To: tr.To, On: tr.On, At: tr.At.Sub(began), Detail: detail})
		}
		root := as.Root.Copy().WithGuardian(RestartFailed(Backoff{Base: time.Second}))
		r, err := Spawn[any](root, "a", &Spec{Mode: Inline, Table: table}, actor.ReceiveFunc(func(c actor.Context) {
			if m, ok := c.Message().(*order); ok {
				m.do(c)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		p := r.Probe()
		p.Become("nobody", "watches", "")
		table.Observe(observe)
		p.Become("new", "open", "knock")
		time.Sleep(time.Second)
		p.BecomeWith("open", "shut", "wind", 7)
		p.Publish("news")
		p.Record(Transition{At: time.Now(), From: "shut", To: "shut", On: "lock"})
		r.Tell(&order{func(actor.Context) { panic("oh") }})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		table.Observe(nil)
		p.Become("shut", "open", "key")
		p.Publish("more news")

		want := []seen{
			{Path: "a", From: "new", To: "open", On: "knock"},
			{Path: "a", From: "open", To: "shut", On: "wind", At: time.Second, Detail: 7},
			{Path: "a", At: time.Second, Detail: "news"},
			{Path: "a", From: "shut", To: "shut", On: "lock", At: time.Second},
			{Path: "a", At: time.Second, Detail: "oh on *actors.order"},
			{Path: "a", At: 2 * time.Second, Detail: Restarted{Incarnation: 1}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		done := p.Done()
		r.Stop()
		<-done
	})
}

// Publishing what exists costs nothing while nobody watches.
func TestPublishingToNobodyDoesNotAllocate(t *testing.T) {
	as := NewSystem(nil)
	r := spawn(t, as, "quiet", &Spec{Mode: Inline, Table: &Table{}}, func(actor.Context) {})
	detail := &number{}
	if n := testing.AllocsPerRun(100, func() { r.Probe().Publish(detail) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	done := r.Probe().Done()
	r.Stop()
	<-done
}
