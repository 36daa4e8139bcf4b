package resolver

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/resolver"
)

// script is a Source under the test's control.
type script struct {
	mu     sync.Mutex
	opened int
	looks  []time.Duration // when, since the beginning
	begin  time.Time
	answer Answer
	err    error
	openIs error
	during func(ctx context.Context)
}

func (s *script) builder(sch Schedule) resolver.Builder {
	return Polling("script", sch, func(resolver.Target, resolver.BuildOptions) (Source, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opened++
		if s.begin.IsZero() {
			s.begin = time.Now()
		}
		if s.openIs != nil {
			return nil, s.openIs
		}
		return s, nil
	})
}

func (s *script) Resolve(ctx context.Context) (Answer, error) {
	s.mu.Lock()
	s.looks = append(s.looks, time.Since(s.begin))
	during := s.during
	s.mu.Unlock()
	if during != nil {
		during(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer, s.err
}

func (s *script) set(f func(s *script)) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *script) says(addrs ...string) {
	s.set(func(s *script) { s.answer.Endpoints, s.err = endpoints(addrs...), nil })
}

func (s *script) lookedAt() []time.Duration {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

func endpoints(addrs ...string) []resolver.Endpoint {
	var eps []resolver.Endpoint
	for _, a := range addrs {
		eps = append(eps, endpoint(resolver.Address{Addr: a}))
	}
	return eps
}

var errLook = errors.New("cannot look")

// A change is found by polling alone; what did not change is no news.
func TestPolling(t *testing.T) {
	s := &script{answer: Answer{Endpoints: endpoints("a", "b")}}
	inBubble(t, "script:///x", s.builder(Schedule{Poll: 30 * time.Second, MinInterval: time.Hour}), func(l *listener) {
		l.count(1, 0)
		if next := time.Until(l.status().Next); next < 30*time.Second || next > 36*time.Second {
			t.Errorf("the next look is in %v", next)
		}
		s.says("b", "a") // rotated
		time.Sleep(36 * time.Second)
		l.count(1, 0)
		s.says("a", "b", "c")
		time.Sleep(36 * time.Second)
		l.count(2, 0)
		if diff := cmp.Diff([]string{"a", "b", "c"}, l.addrs()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(10 * time.Minute)
		l.count(2, 0)
		looks := s.lookedAt()
		for i := 1; i < len(looks); i++ {
			if d := looks[i] - looks[i-1]; d < 30*time.Second || d > 36*time.Second {
				t.Errorf("look %d came %v after the one before", i, d)
			}
		}
		if st := l.status(); len(looks) < 18 || st.Looks != len(looks) || st.Unchanged != len(looks)-2 {
			t.Errorf("%d looks, %+v", len(looks), st)
		}
	})
}

// A lost connection makes the resolver look, but not sooner than it may.
func TestResolveNowWaitsForTheInterval(t *testing.T) {
	s := &script{answer: Answer{Endpoints: endpoints("a")}}
	inBubble(t, "script:///x", s.builder(Schedule{MinInterval: 30 * time.Second}), func(l *listener) {
		l.count(1, 0)
		for range 100 {
			l.ref.Tell(&ResolveNow{})
		}
		time.Sleep(29 * time.Second)
		l.ref.Tell(&ResolveNow{})
		time.Sleep(2 * time.Second)
		time.Sleep(time.Hour) // nobody asks
		l.ref.Tell(&ResolveNow{})
		if diff := cmp.Diff([]time.Duration{0, 30 * time.Second, time.Hour + 31*time.Second}, s.lookedAt()); diff != "" {
			t.Error(diff)
		}
		l.count(1, 0)
	})
}

// ResolveNow moves a poll forward, and never back.
func TestResolveNowAndPolling(t *testing.T) {
	s := &script{answer: Answer{Endpoints: endpoints("a")}}
	inBubble(t, "script:///x", s.builder(Schedule{Poll: time.Hour, MinInterval: 30 * time.Second}), func(l *listener) {
		l.count(1, 0)
		time.Sleep(10 * time.Second)
		l.ref.Tell(&ResolveNow{})
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]time.Duration{0, 30 * time.Second}, s.lookedAt()); diff != "" {
			t.Error(diff)
		}
	})
	s = &script{answer: Answer{Endpoints: endpoints("a")}}
	inBubble(t, "script:///x", s.builder(Schedule{Poll: time.Second, MinInterval: time.Hour}), func(l *listener) {
		l.count(1, 0)
		l.ref.Tell(&ResolveNow{})
		time.Sleep(1200 * time.Millisecond)
		if n := len(s.lookedAt()); n != 2 {
			t.Errorf("%d looks", n)
		}
	})
}

// What is lost while a look is under way may be newer than what it finds.
func TestResolveNowDuringALook(t *testing.T) {
	s := &script{answer: Answer{Endpoints: endpoints("a")}}
	s.during = func(context.Context) { time.Sleep(time.Second) }
	inBubble(t, "script:///x", s.builder(Schedule{MinInterval: 10 * time.Second}), func(l *listener) {
		l.ref.Tell(&ResolveNow{})
		l.ref.Tell(&ResolveNow{})
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]time.Duration{0, 11 * time.Second}, s.lookedAt()); diff != "" {
			t.Error(diff)
		}
	})
}

// Failures are tried again with gRPC's backoff, whatever polling and lost
// connections ask for, and the channel keeps what it has.
func TestBackoff(t *testing.T) {
	s := &script{answer: Answer{Endpoints: endpoints("a")}}
	inBubble(t, "script:///x", s.builder(Schedule{Poll: 10 * time.Second, MinInterval: 0}), func(l *listener) {
		l.count(1, 0)
		s.set(func(s *script) { s.err = errLook })
		time.Sleep(12 * time.Second)
		_, fs := l.heard()
		if len(fs) == 0 || !errors.Is(fs[0].Err, errLook) {
			t.Fatalf("%d failures", len(fs))
		}
		for range 60 {
			l.ref.Tell(&ResolveNow{})
			time.Sleep(10 * time.Second)
		}
		us, fs := l.heard()
		if len(us) != 1 || l.ref.Probe().State() != failing || l.status().Endpoints != 1 {
			t.Errorf("%d updates, state %s, %+v", len(us), l.ref.Probe().State(), l.status())
		}
		want := time.Second
		for i, f := range fs {
			if f.Retry < want*8/10 || f.Retry > want*12/10 {
				t.Errorf("after failure %d: %v, not about %v", i+1, f.Retry, want)
			}
			want = min(want*16/10, 120*time.Second)
		}
		if n := len(fs); n < 10 || n > 18 {
			t.Errorf("%d failures", n)
		}
		s.says("a") // what it was before: the channel has to hear that it is good again
		time.Sleep(3 * time.Minute)
		l.count(2, len(fs))
		if st := l.status(); l.ref.Probe().State() != resolved || st.Err != nil {
			t.Errorf("state %s, %+v", l.ref.Probe().State(), st)
		}
		// And backoff begins anew.
		s.set(func(s *script) { s.err = errLook })
		time.Sleep(12 * time.Second)
		if _, again := l.heard(); len(again) <= len(fs) || again[len(fs)].Retry > 1200*time.Millisecond {
			t.Errorf("%d failures", len(again))
		}
	})
}

// Answers of no use are passed on once and looked at again with backoff.
func TestDefectsAreLookedAtAgain(t *testing.T) {
	for name, defect := range map[string]Answer{
		"no endpoints":                {},
		"a service config refused":    {Endpoints: endpoints("a"), ServiceConfig: "broken"},
		"a service config that fails": {Endpoints: endpoints("a"), ServiceConfig: "panics"},
		"a service config not there":  {Endpoints: endpoints("a"), ConfigErr: errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answer: defect}
			inBubble(t, "script:///x", s.builder(Schedule{}), func(l *listener) {
				l.count(1, 0)
				u := l.last()
				if len(u.Endpoints) != len(defect.Endpoints) || len(defect.Endpoints) > 0 && (u.Config == nil || u.Config.Err == nil || l.status().ConfigErr == nil) {
					t.Errorf("%+v", u)
				}
				time.Sleep(time.Minute)
				if n := len(s.lookedAt()); n < 6 || n > 9 {
					t.Errorf("%d looks", n)
				}
				l.count(1, 0)
				s.set(func(s *script) { s.answer = Answer{Endpoints: endpoints("a"), ServiceConfig: "{}"} })
				time.Sleep(time.Minute)
				l.count(2, 0)
				if st := l.status(); st.ConfigErr != nil || !st.Next.IsZero() {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// A target that cannot be opened is a failure like others.
func TestOpenFails(t *testing.T) {
	s := &script{openIs: errLook, answer: Answer{Endpoints: endpoints("a")}}
	inBubble(t, "script:///x", s.builder(Schedule{}), func(l *listener) {
		l.count(0, 1)
		s.set(func(s *script) { s.openIs = nil })
		time.Sleep(2 * time.Second)
		l.count(1, 1)
		if s.opened != 2 {
			t.Errorf("opened %d times", s.opened)
		}
	})
}

// A source that panics is opened anew after a pause.
func TestSourcePanics(t *testing.T) {
	for name, misbehave := range map[string]func(context.Context){
		"panic":  func(context.Context) { panic("no") },
		"goexit": func(context.Context) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answer: Answer{Endpoints: endpoints("a")}}
			inBubble(t, "script:///x", s.builder(Schedule{Poll: time.Second}), func(l *listener) {
				l.count(1, 0)
				s.set(func(s *script) { s.during = misbehave })
				time.Sleep(1200 * time.Millisecond)
				s.set(func(s *script) { s.during = nil })
				if n := l.ref.Probe().Mailbox().Counters().Depth; n != 0 {
					t.Errorf("%d messages wait", n)
				}
				time.Sleep(1200 * time.Millisecond)
				l.count(2, 0)
				if l.ref.Probe().Restarts() != 1 || s.opened != 2 {
					t.Errorf("%d restarts, opened %d times", l.ref.Probe().Restarts(), s.opened)
				}
			})
		})
	}
}

// A source that does not heed its context is reported, and not asked twice at
// once.
func TestSourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := &script{answer: Answer{Endpoints: endpoints("a")}, during: func(context.Context) { <-hang }}
		run1(t, "script:///x", s.builder(Schedule{Poll: time.Second, Timeout: 5 * time.Second}), func(l *listener) {
			time.Sleep(time.Minute)
			l.count(0, 1)
			if n := len(s.lookedAt()); n != 1 {
				t.Errorf("%d looks", n)
			}
			close(hang)
			l.count(1, 1)
		})
	})
}

// A look ends with its time, and with the resolver.
func TestLooksEnd(t *testing.T) {
	var why []error
	s := &script{err: errLook, during: func(ctx context.Context) { <-ctx.Done(); why = append(why, context.Cause(ctx)) }}
	synctest.Test(t, func(t *testing.T) {
		run1(t, "script:///x", s.builder(Schedule{Timeout: 5 * time.Second}), func(l *listener) {
			time.Sleep(5 * time.Second)
			l.count(0, 1)
			time.Sleep(2 * time.Second)
		})
		synctest.Wait()
	})
	if len(why) != 2 || !errors.Is(why[0], context.DeadlineExceeded) || !errors.Is(why[1], context.Canceled) {
		t.Error(why)
	}
}

// Who has said all there is to say is not asked again.
func TestFinalAnswers(t *testing.T) {
	s := &script{answer: Answer{Endpoints: endpoints("a"), Final: true}}
	inBubble(t, "script:///x", s.builder(Schedule{Poll: time.Second}), func(l *listener) {
		l.count(1, 0)
		l.ref.Tell(&ResolveNow{})
		time.Sleep(time.Hour)
		if n := len(s.lookedAt()); n != 1 || !l.status().Next.IsZero() {
			t.Errorf("%d looks, %+v", n, l.status())
		}
	})
}

// Schedules have bounds.
func TestScheduleBounds(t *testing.T) {
	for _, tt := range []struct {
		poll, want time.Duration
		draw       float64
	}{
		{0, 0, 0.5},
		{-time.Second, 0, 0.5},
		{1, 100 * time.Millisecond, 0},
		{10 * time.Second, 10 * time.Second, 0},
		{10 * time.Second, 11 * time.Second, 0.5},
	} {
		if got := (Schedule{Poll: tt.poll}).poll(tt.draw); got != tt.want {
			t.Errorf("%v: %v, not %v", tt.poll, got, tt.want)
		}
	}
	if d := (Schedule{Timeout: -1}).timeout(); d != defaultTimeout {
		t.Error(d)
	}
}

// A channel that is not callboard's hears why it gets no answer.
func TestPollingIsNotForOthers(t *testing.T) {
	b := (&script{}).builder(Schedule{})
	if _, err := b.Build(target(t, "script:///x"), nil, resolver.BuildOptions{}); !errors.Is(err, errForeignHost) || b.Scheme() != "script" {
		t.Error(err)
	}
}
