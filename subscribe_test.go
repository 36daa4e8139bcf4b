package callboard

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/actors"
)

// heardEvents is a subscriber that keeps what it hears and stops where it is
// told to.
type heardEvents struct {
	mu   sync.Mutex
	list []any // Restarts of an ActorRestarted, N of a Dropped
	hold chan struct{}
}

func (h *heardEvents) hear(ev Event) {
	h.mu.Lock()
	switch ev := ev.(type) {
	case ActorRestarted:
		h.list = append(h.list, ev.Restarts)
	case Dropped:
		h.list = append(h.list, ev)
	}
	h.mu.Unlock()
	if h.hold != nil {
		<-h.hold
	}
}

func (h *heardEvents) heard() []any {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

func numbers(from, to int) (list []any) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// feeding runs f with a system and a function that publishes the events from
// one number to another.
func feeding(t *testing.T, f func(s *System, publish func(from, to int))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSystem(WithName("fed"), WithActorSystem(actors.NewSystem(nil)), WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		f(s, func(from, to int) {
			for i := from; i < to; i++ {
				s.publish(ActorRestarted{Origin: Origin{At: time.Now(), Actor: "a"}, Restarts: i})
			}
		})
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func wantHeard(t *testing.T, h *heardEvents, want ...[]any) {
	t.Helper()
	if d := cmp.Diff(slices.Concat(want...), h.heard()); d != "" {
		t.Errorf("heard (-want +got):\n%s", d)
	}
}

func TestSubscribersHearEverythingInOrder(t *testing.T) {
	feeding(t, func(s *System, publish func(from, to int)) {
		fast, slow := &heardEvents{}, &heardEvents{hold: make(chan struct{})}
		publish(0, 5) // nobody is there
		s.Subscribe(fast.hear)
		sub := s.Subscribe(slow.hear)
		publish(5, 500)
		wantHeard(t, fast, numbers(5, 500))
		wantHeard(t, slow, numbers(5, 6))
		close(slow.hold)
		wantHeard(t, slow, numbers(5, 500))
		if n := sub.Dropped(); n != 0 {
			t.Errorf("%d dropped", n)
		}
	})
}

// What does not fit is counted, and a marker stands in its place: before what
// follows, or at the end when nothing does.
func TestDroppedEventsAreMarkedInPlace(t *testing.T) {
	feeding(t, func(s *System, publish func(from, to int)) {
		h := &heardEvents{hold: make(chan struct{})}
		sub := s.Subscribe(h.hear, WithEventLimit(4))
		publish(0, 1)
		wantHeard(t, h, numbers(0, 1)) // it is being heard, so it does not wait
		at := time.Now()
		publish(1, 10)
		time.Sleep(time.Second)
		publish(10, 11)
		h.hold <- struct{}{}
		h.hold <- struct{}{}
		wantHeard(t, h, numbers(0, 3))
		publish(11, 15)
		close(h.hold)
		first := Dropped{Origin: Origin{At: at, Actor: "fed"}, N: 6}
		wantHeard(t, h, numbers(0, 5), []any{first}, numbers(11, 13), []any{Dropped{Origin: Origin{At: at.Add(time.Second), Actor: "fed"}, N: 2}})
		publish(15, 17)
		wantHeard(t, h, numbers(0, 5), []any{first}, numbers(11, 13), []any{Dropped{Origin: Origin{At: at.Add(time.Second), Actor: "fed"}, N: 2}}, numbers(15, 17))
		if n := sub.Dropped(); n != 8 {
			t.Errorf("%d dropped, want 8", n)
		}
	})
}

// A subscriber that panics, or ends its goroutine, hears the next event.
func TestSubscribersThatFailGoOn(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("oh") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			feeding(t, func(s *System, publish func(from, to int)) {
				h, other := &heardEvents{}, &heardEvents{}
				s.Subscribe(func(ev Event) { h.hear(ev); fail() })
				s.Subscribe(other.hear)
				publish(0, 3)
				wantHeard(t, h, numbers(0, 3))
				wantHeard(t, other, numbers(0, 3))
			})
		})
	}
}

func TestClosedSubscriptions(t *testing.T) {
	feeding(t, func(s *System, publish func(from, to int)) {
		h := &heardEvents{}
		var sub *Subscription
		sub = s.Subscribe(func(ev Event) {
			h.hear(ev)
			if len(h.list) == 2 {
				sub.Close()
			}
		})
		other := s.Subscribe(func(Event) {})
		publish(0, 10)
		<-sub.Done()
		publish(10, 20)
		wantHeard(t, h, numbers(0, 2))
		sub.Close()
		if !s.events.watched.Load() {
			t.Error("nobody publishes, though somebody subscribes")
		}
		other.Close()
		<-other.Done()
		if s.events.watched.Load() {
			t.Error("publishing goes on for nobody")
		}
	})
}

// A subscriber that never returns holds up neither the system's end nor its own
// subscription's.
func TestShutdownEndsSubscriptionsBehindTheLastEvent(t *testing.T) {
	feeding(t, func(s *System, publish func(from, to int)) {
		quick, stuck := &heardEvents{}, &heardEvents{hold: make(chan struct{})}
		q, st := s.Subscribe(quick.hear), s.Subscribe(stuck.hear)
		publish(0, 9)
		synctest.Wait()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		publish(9, 10)
		<-q.Done()
		wantHeard(t, quick, numbers(0, 9))
		wantHeard(t, stuck, numbers(0, 1))
		close(stuck.hold)
		<-st.Done()
		wantHeard(t, stuck, numbers(0, 9))
		late := s.Subscribe(quick.hear)
		<-late.Done()
	})
}

// Every subscriber sees one and the same order, whoever publishes.
func TestSubscribersAgreeOnTheOrder(t *testing.T) {
	feeding(t, func(s *System, publish func(from, to int)) {
		a, b := &heardEvents{}, &heardEvents{}
		s.Subscribe(a.hear, WithEventLimit(1e6))
		s.Subscribe(b.hear, WithEventLimit(1e6))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 200 {
					publish(1000*i+j, 1000*i+j+1)
					if j%50 == 0 {
						s.Subscribe(func(Event) {}).Close()
					}
				}
			})
		}
		wg.Wait()
		got := a.heard()
		if len(got) != 1600 {
			t.Errorf("heard %d events, want 1600", len(got))
		}
		if d := cmp.Diff(got, b.heard()); d != "" {
			t.Errorf("they disagree:\n%s", d)
		}
		next := map[int]int{} // each publisher's own order holds
		for _, n := range got {
			if from := n.(int) / 1000; n.(int)%1000 != next[from] {
				t.Fatalf("%d of publisher %d came before %d", n.(int)%1000, from, next[from])
			}
			next[n.(int)/1000]++
		}
	})
}

// Memory stays bounded when a subscriber lags for ever by less than its limit.
func TestLaggingSubscriberKeepsItsMemory(t *testing.T) {
	feeding(t, func(s *System, publish func(from, to int)) {
		step := make(chan struct{})
		var n atomic.Int64
		sub := s.Subscribe(func(Event) { <-step; n.Add(1) }, WithEventLimit(8))
		publish(0, 4)
		for i := 4; i < 4000; i++ {
			publish(i, i+1)
			step <- struct{}{}
			synctest.Wait()
		}
		sub.mu.Lock()
		room := cap(sub.waiting)
		sub.mu.Unlock()
		if room > 64 {
			t.Errorf("room for %d events, limit 8", room)
		}
		close(step)
		synctest.Wait()
		if n.Load() != 4000 || sub.Dropped() != 0 {
			t.Errorf("%d heard, %d dropped", n.Load(), sub.Dropped())
		}
	})
}
