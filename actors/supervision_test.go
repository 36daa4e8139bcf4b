package actors

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
)

var errBroken = errors.New("broken")

// family is a parent with one child; both log their lifecycle.
type family struct {
	mu     sync.Mutex // log and events: parent and child may run at once
	log    []string
	child  Ref[any]
	parent Ref[any]
	table  Table
	events []actor.Directive
	on     map[string]func() // what to do at a logged moment; set before raise
}

func (f *family) note(moment string) {
	f.mu.Lock()
	f.log = append(f.log, moment)
	f.mu.Unlock()
	if do := f.on[moment]; do != nil {
		do()
	}
}

func raise(f *family, strategy actor.SupervisorStrategy, d Mode, root actor.SupervisorStrategy) {
	as := NewSystem(nil)
	as.EventStream.Subscribe(func(ev any) {
		if s, ok := ev.(*actor.SupervisorEvent); ok {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, s.Directive)
		}
	})
	lifecycle := func(name string, c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting, *actor.Terminated:
			f.note(name + " " + strings.TrimPrefix(typeName(typeWord(c.Message())), "*actor."))
		}
	}
	child := receive(func(c actor.Context) {
		lifecycle("child", c)
		switch msg := c.Message().(type) {
		case *order:
			msg.do(c)
		case *number:
			f.note("child number")
		}
	})
	ctx := as.Root
	if root != nil {
		ctx = as.Root.Copy().WithGuardian(root)
	}
	var err error
	f.parent, err = Spawn[any](ctx, "parent", &Spec{Kind: "parent", Table: &f.table, Supervisor: strategy},
		receive(func(c actor.Context) {
			lifecycle("parent", c)
			if _, ok := c.Message().(*actor.Started); ok {
				f.child, err = Spawn[any](c, "child", &Spec{Kind: "child", Table: &f.table, Mode: d}, child)
				if err != nil {
					panic(err)
				}
			}
		}))
	if err != nil {
		panic(err)
	}
}

func boom(actor.Context) { panic(errBroken) }

func TestSupervision(t *testing.T) {
	resume := OnFailure(func(*actor.PID, any, any) Directive { return Resume })
	for _, tc := range []struct {
		name     string
		strategy actor.SupervisorStrategy
		root     actor.SupervisorStrategy
		want     []string
		events   []actor.Directive
	}{
		{
			name: "none given stops the child",
			want: []string{"child Stopping", "child Stopped", "parent Terminated"}, events: []actor.Directive{actor.StopDirective},
		},
		{
			name: "stop", strategy: StopFailed(),
			want: []string{"child Stopping", "child Stopped", "parent Terminated"}, events: []actor.Directive{actor.StopDirective},
		},
		{
			name: "resume goes on behind the message", strategy: resume,
			want: []string{"child number"}, events: []actor.Directive{actor.ResumeDirective},
		},
		{
			name: "restart keeps the mailbox", strategy: RestartFailed(Backoff{}),
			want:   []string{"child Restarting", "child Started", "child number"},
			events: []actor.Directive{actor.RestartDirective},
		},
		{
			name: "restart waits for the backoff", strategy: RestartFailed(GRPCBackoff),
			want:   []string{"child Restarting", "child Started", "child number"},
			events: []actor.Directive{actor.RestartDirective},
		},
		{
			name: "escalated to nobody stops the parent", strategy: EscalateFailed(),
			want: []string{
				"parent Stopping", "child Stopping", "child Stopped", "parent Terminated", "parent Stopped",
			},
			events: []actor.Directive{actor.StopDirective},
		},
		{
			name: "escalated by all stops at the top", strategy: EscalateFailed(), root: EscalateFailed(),
			want: []string{
				"parent Stopping", "child Stopping", "child Stopped", "parent Terminated", "parent Stopped",
			},
			events: []actor.Directive{actor.StopDirective},
		},
	} {
		for _, d := range modes {
			t.Run(tc.name+"/"+d.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var f family
					raise(&f, tc.strategy, d, tc.root)
					synctest.Wait()
					f.log = nil
					f.child.Tell(&order{func(c actor.Context) {
						f.child.Tell(&number{}) // waits for the decision
						boom(c)
					}})
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if d := cmp.Diff(tc.want, f.log); d != "" {
						t.Errorf("lifecycle (-want +got):\n%s", d)
					}
					if d := cmp.Diff(tc.events, f.events); d != "" {
						t.Errorf("published directives (-want +got):\n%s", d)
					}
					last := f.child.Probe().LastFailure()
					if last == nil || !errors.Is(last.Reason, errBroken) || last.Message != "*actors.order" ||
						!strings.Contains(string(last.Reason.Stack), "actors.boom") {
						t.Errorf("last failure %+v", last)
					}
					stopWait(f.parent)
					if n := f.table.Len(); n != 0 {
						t.Errorf("%d actors are left", n)
					}
				})
			})
		}
	}
}

func TestFailingChildWaitsForItsSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f family
		raise(&f, RestartFailed(Backoff{Base: time.Second}), Inline, nil)
		f.log = nil
		f.child.Tell(&order{boom})
		f.child.Tell(&number{})
		if c := f.child.Probe().Mailbox().Counters(); !c.Suspended || c.Depth != 1 {
			t.Errorf("during the backoff: %+v", c)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{"child Restarting", "child Started", "child number"}
		if d := cmp.Diff(want, f.log); d != "" {
			t.Errorf("lifecycle (-want +got):\n%s", d)
		}
		if n := f.child.Probe().Restarts(); n != 1 {
			t.Errorf("%d restarts, want 1", n)
		}
		stopWait(f.parent)
	})
}

func TestStopDuringBackoffIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f family
		raise(&f, RestartFailed(Backoff{Base: time.Second}), Inline, nil)
		f.child.Tell(&order{boom})
		stopWait(f.parent)
		f.log = nil
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(f.log) != 0 {
			t.Errorf("after the stop: %v", f.log)
		}
	})
}

func TestPanicOnTheWayOutDoesNotHoldUpTheTree(t *testing.T) {
	for _, moment := range []string{
		"child Stopping", "child Stopped", "parent Stopping", "parent Terminated", "parent Stopped",
	} {
		for _, d := range modes {
			t.Run(moment+"/"+d.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := family{on: map[string]func(){moment: func() { panic(errBroken) }}}
					raise(&f, nil, d, nil)
					stopWait(f.parent)
					if n := f.table.Len(); n != 0 {
						t.Errorf("%d actors are left", n)
					}
					synctest.Wait()
					if d := cmp.Diff([]actor.Directive{actor.StopDirective}, f.events); d != "" {
						t.Errorf("published (-want +got):\n%s", d)
					}
				})
			})
		}
	}
}

func TestPanicInStartedIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := family{on: map[string]func(){"child Started": func() { panic(errBroken) }}}
		raise(&f, nil, Inline, nil)
		want := []string{"parent Started", "child Started", "child Stopping", "child Stopped", "parent Terminated"}
		if d := cmp.Diff(want, f.log); d != "" {
			t.Errorf("lifecycle (-want +got):\n%s", d)
		}
		stopWait(f.parent)
	})
}

// A restart that was decided before the stop but arrives behind it must not
// bring the actor back: its parent would wait for its end for ever.
func TestRestartBehindStopIsIgnored(t *testing.T) {
	as := NewSystem(nil)
	var log []string
	r := spawn(t, as, "a", &Spec{}, func(c actor.Context) {
		switch msg := c.Message().(type) {
		case *actor.Started, *actor.Restarting, *actor.Stopped:
			log = append(log, typeName(typeWord(msg)))
		case *order:
			msg.do(c)
		}
	})
	r.Tell(&order{func(actor.Context) {
		r.Stop()
		r.m.PostSystemMessage(&actor.Restart{})
	}})
	if d := cmp.Diff([]string{"*actor.Started", "*actor.Stopped"}, log); d != "" {
		t.Errorf("lifecycle (-want +got):\n%s", d)
	}
}

func TestGoexitInReceiveIsAFailure(t *testing.T) {
	for _, d := range modes {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f family
				raise(&f, OnFailure(func(*actor.PID, any, any) Directive { return Resume }), d, nil)
				synctest.Wait()
				f.log = nil
				go func() {
					f.child.Tell(&order{func(actor.Context) { runtime.Goexit() }})
				}()
				synctest.Wait()
				f.child.Tell(&number{})
				synctest.Wait()
				if d := cmp.Diff([]string{"child number"}, f.log); d != "" {
					t.Errorf("lifecycle (-want +got):\n%s", d)
				}
				if last := f.child.Probe().LastFailure(); last == nil || !errors.Is(last.Reason, errGoexit) {
					t.Errorf("last failure %+v", last)
				}
				stopWait(f.parent)
			})
		})
	}
}

func TestSupervisorsPanicStopsTheActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f family
		raise(&f, EscalateFailed(), Inline, OnFailure(func(*actor.PID, any, any) Directive { panic("hook") }))
		stopped := f.parent.Probe().Done()
		f.child.Tell(&order{boom})
		<-stopped
	})
}

func TestSpawnFuncRenewsTheActor(t *testing.T) {
	as := NewSystem(nil)
	made := 0
	parent := as.Root.Copy().WithGuardian(RestartFailed(Backoff{}))
	r, err := SpawnFunc[any](parent, "a", &Spec{}, func() actor.Actor {
		made++
		return receive(func(c actor.Context) {
			if msg, ok := c.Message().(*order); ok {
				msg.do(c)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Tell(&order{boom})
	if made != 2 {
		t.Errorf("%d incarnations, want 2", made)
	}
	stopWait(r)
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	b := Backoff{Base: time.Second, Max: 10 * time.Second, Factor: 2}
	for n, want := range map[int]time.Duration{
		0: 0, 1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 5000: 10 * time.Second,
	} {
		if got := b.Delay(n); got != want {
			t.Errorf("after failure %d: %v, want %v", n, got, want)
		}
	}
	b.Jitter = 0.2
	for range 100 {
		if got := b.Delay(1); got < 800*time.Millisecond || got > 1200*time.Millisecond {
			t.Errorf("with jitter: %v", got)
		}
	}
	if got := (Backoff{}).Delay(3); got != 0 {
		t.Errorf("zero backoff: %v", got)
	}
}
