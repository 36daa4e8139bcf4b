package actors

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// expired is what a timer tells its actor.
type expired struct{ gen uint64 }

func TestTimerTellsItsActorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := NewSystem(nil)
		begin := time.Now()
		var timer *Timer
		var fired []time.Duration
		r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
			if msg, ok := c.Message().(*expired); ok && timer.Current(msg.gen) {
				fired = append(fired, time.Since(begin))
			}
		})
		timer = NewTimer(func(gen uint64) { r.Tell(&expired{gen}) })
		timer.Reset(time.Second)
		time.Sleep(10 * time.Second)
		timer.Reset(3 * time.Second) // again after it fired
		time.Sleep(10 * time.Second)
		timer.Reset(5 * time.Second)
		timer.Reset(time.Second) // nearer
		time.Sleep(10 * time.Second)
		timer.Reset(time.Second)
		timer.Reset(5 * time.Second) // further away
		time.Sleep(10 * time.Second)
		timer.Reset(-time.Second) // at once
		time.Sleep(10 * time.Second)
		timer.Reset(time.Second)
		timer.Stop()
		time.Sleep(10 * time.Second)
		timer.Reset(time.Second)
		timer.Close()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []time.Duration{
			time.Second, 13 * time.Second, 21 * time.Second, 35 * time.Second, 40 * time.Second,
		}
		if d := cmp.Diff(want, fired); d != "" {
			t.Errorf("fired at (-want +got):\n%s", d)
		}
	})
}

func TestStaleGenerationIsNotCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		arrived := make(chan uint64, 2)
		timer := NewTimer(func(gen uint64) { arrived <- gen })
		timer.Reset(time.Second)
		time.Sleep(2 * time.Second)
		timer.Reset(time.Second) // the actor has not looked at the first yet
		if first := <-arrived; timer.Current(first) {
			t.Error("a generation is current after the timer was set anew")
		}
		second := <-arrived
		if !timer.Current(second) {
			t.Error("the newest generation is not current")
		}
		timer.Stop()
		if timer.Current(second) {
			t.Error("a generation is current after Stop")
		}
	})
}

// TestTimerKeepsItsLastDeadline compares with the simplest timer there is: a
// deadline that is overwritten.
func TestTimerKeepsItsLastDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(rt *rapid.T) {
			var fired atomic.Int64
			timer := NewTimer(func(uint64) { fired.Add(1) })
			defer timer.Close()
			want, armed := int64(0), false
			var due time.Time
			rt.Repeat(map[string]func(*rapid.T){
				"reset": func(rt *rapid.T) {
					d := time.Duration(rapid.IntRange(1, 20).Draw(rt, "d"))
					timer.Reset(d)
					due, armed = time.Now().Add(d), true
				},
				"stop":  func(*rapid.T) { timer.Stop(); armed = false },
				"close": func(*rapid.T) { timer.Close(); armed = false },
				"sleep": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 15).Draw(rt, "sleep")))
				},
				"": func(rt *rapid.T) {
					synctest.Wait()
					if armed && !due.After(time.Now()) {
						want, armed = want+1, false
					}
					if n := fired.Load(); n != want {
						rt.Fatalf("fired %d times, want %d", n, want)
					}
				},
			})
		})
	})
}

func TestTimerDoesNotAllocate(t *testing.T) {
	timer := NewTimer(func(uint64) {})
	defer timer.Close()
	timer.Reset(time.Hour)
	if n := testing.AllocsPerRun(1000, func() { timer.Stop(); timer.Reset(time.Hour) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
