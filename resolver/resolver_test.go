package resolver

import (
	"errors"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
)

// fake is a resolver of a third party under the test's control, and its
// builder.
type fake struct {
	mu      sync.Mutex
	cc      resolver.ClientConn
	built   int
	asked   int
	closed  int
	panics  int           // that many builds
	fails   int           // that many builds
	hang    chan struct{} // Build waits for it
	closing func()
	asking  func()
}

var errBuild = errors.New("cannot build")

func (f *fake) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	f.mu.Lock()
	f.built++
	f.cc = cc
	panics, fails, hang := f.panics > 0, f.fails > 0, f.hang
	f.panics, f.fails = max(f.panics-1, 0), max(f.fails-1, 0)
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if panics {
		panic("the builder panics")
	}
	if fails {
		return nil, errBuild
	}
	return f, nil
}

func (*fake) Scheme() string { return "fake" }

func (f *fake) ResolveNow(resolver.ResolveNowOptions) {
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	if f.asking != nil {
		f.asking()
	}
}

func (f *fake) Close() {
	f.mu.Lock()
	f.closed++
	f.mu.Unlock()
	if f.closing != nil {
		f.closing()
	}
}

// says lets the resolver use its ClientConn.
func (f *fake) says(what func(cc resolver.ClientConn)) {
	synctest.Wait()
	f.mu.Lock()
	cc := f.cc
	f.mu.Unlock()
	what(cc)
}

func (f *fake) counts() (built, asked, closed int) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.built, f.asked, f.closed
}

func state(addrs ...string) resolver.State {
	var st resolver.State
	for _, a := range addrs {
		st.Addresses = append(st.Addresses, resolver.Address{Addr: a})
	}
	return st
}

func TestHostedUpdates(t *testing.T) {
	f := &fake{}
	inBubble(t, "fake:///somewhere", f, func(l *listener) {
		f.says(func(cc resolver.ClientConn) {
			if l.ref.Probe().Path() != "channel/resolver" || l.ref.Probe().State() != starting {
				t.Errorf("path %s, state %s", l.ref.Probe().Path(), l.ref.Probe().State())
			}
			st := state("a", "b")
			st.ServiceConfig = cc.ParseServiceConfig("{}")
			if err := cc.UpdateState(st); err != nil {
				t.Error(err)
			}
			st.Addresses[0].Addr = "changed afterwards"
			if diff := cmp.Diff([]string{"a", "b"}, l.addrs()); diff != "" || len(l.last().Endpoints) != 2 {
				t.Error(diff, l.last().Endpoints)
			}
			if l.last().Config != st.ServiceConfig {
				t.Error("the service config is another")
			}
			// One endpoint of two addresses, and one that is none.
			if err := cc.UpdateState(resolver.State{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{{Addr: "c"}, {Addr: "d"}}}, {}}}); err != nil {
				t.Error(err)
			}
			if u := l.last(); len(u.Endpoints) != 1 || len(u.Endpoints[0].Addresses) != 2 {
				t.Errorf("update %+v", u)
			}
			cc.NewAddress([]resolver.Address{{Addr: "e"}}) //nolint:staticcheck // resolvers still call it
			if diff := cmp.Diff([]string{"e"}, l.addrs()); diff != "" {
				t.Error(diff)
			}
		})
		if st := l.status(); l.ref.Probe().State() != resolved || st.Endpoints != 1 || st.Since.IsZero() {
			t.Errorf("state %s, %+v", l.ref.Probe().State(), st)
		}
		l.ref.Tell(&ResolveNow{})
		if _, asked, _ := f.counts(); asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
	if _, _, closed := f.countsOutside(); closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}

func (f *fake) countsOutside() (built, asked, closed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.built, f.asked, f.closed
}

// What is of no use reaches the channel, and the resolver hears that it is
// none.
func TestHostedDefects(t *testing.T) {
	f := &fake{}
	inBubble(t, "fake:///x", f, func(l *listener) {
		f.says(func(cc resolver.ClientConn) {
			if err := cc.UpdateState(resolver.State{}); !errors.Is(err, balancer.ErrBadResolverState) {
				t.Error(err)
			}
			l.count(1, 0)
			if n := len(l.last().Endpoints); n != 0 {
				t.Errorf("%d endpoints", n)
			}
			st := state("a")
			st.ServiceConfig = cc.ParseServiceConfig("broken")
			if err := cc.UpdateState(st); !errors.Is(err, balancer.ErrBadResolverState) {
				t.Error(err)
			}
			if u := l.last(); u.Config == nil || !errors.Is(u.Config.Err, errBroken) || len(u.Endpoints) != 1 {
				t.Errorf("%+v", u)
			}
			if st := l.status(); !errors.Is(st.ConfigErr, errBroken) {
				t.Errorf("%+v", st)
			}
			if r := cc.ParseServiceConfig("panics"); r.Err == nil {
				t.Error("a panic is no error")
			}
			cc.ReportError(errBuild)
			l.count(2, 1)
			if st := l.status(); l.ref.Probe().State() != failing || !errors.Is(st.Err, errBuild) || st.Endpoints != 1 {
				t.Errorf("state %s, %+v", l.ref.Probe().State(), st)
			}
			cc.ReportError(nil)
			if _, fs := l.heard(); fs[1].Err == nil {
				t.Error("a failure without an error")
			}
		})
	})
}

// A channel that disabled service configs does not care about a broken one.
func TestHostedWithoutServiceConfig(t *testing.T) {
	f := &fake{}
	inBubble(t, "fake:///x", f, func(l *listener) {
		f.says(func(cc resolver.ClientConn) {
			st := state("a")
			st.ServiceConfig = cc.ParseServiceConfig("broken")
			if err := cc.UpdateState(st); err != nil || l.last().Config != nil {
				t.Error(err, l.last().Config)
			}
		})
	}, func(c *Config) { c.Options.DisableServiceConfig = true })
}

// A builder that fails is asked again with backoff, and its old ClientConn is
// deaf.
func TestHostedBuildFails(t *testing.T) {
	f := &fake{fails: 2}
	inBubble(t, "fake:///x", f, func(l *listener) {
		l.ref.Tell(&ResolveNow{}) // nobody to ask
		l.count(0, 1)
		_, fs := l.heard()
		if !errors.Is(fs[0].Err, errBuild) || fs[0].Retry < 800*time.Millisecond || fs[0].Retry > 1200*time.Millisecond {
			t.Errorf("%+v", fs[0])
		}
		if next := l.status().Next; !next.Equal(time.Now().Add(fs[0].Retry)) {
			t.Errorf("next look at %v", next)
		}
		var old resolver.ClientConn
		f.says(func(cc resolver.ClientConn) { old = cc })
		time.Sleep(fs[0].Retry)
		l.count(0, 2)
		time.Sleep(3 * time.Second)
		if built, asked, _ := f.counts(); built != 3 || asked != 0 {
			t.Errorf("built %d times, asked %d times", built, asked)
		}
		if err := old.UpdateState(state("old")); err != nil {
			t.Error(err)
		}
		old.ReportError(errBuild)
		l.count(0, 2)
		f.says(func(cc resolver.ClientConn) { _ = cc.UpdateState(state("a")) })
		l.count(1, 2)
	})
}

// A resolver that panics, wherever it is called, is built again after a pause;
// its program goes on.
func TestHostedPanics(t *testing.T) {
	for name, f := range map[string]*fake{
		"in Build":              {panics: 1},
		"in ResolveNow":         {asking: func() { panic("no") }},
		"in ResolveNow, Goexit": {asking: runtime.Goexit},
		"in Close, too":         {asking: func() { panic("no") }, closing: func() { panic("no") }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "fake:///x", f, func(l *listener) {
				f.says(func(cc resolver.ClientConn) { _ = cc.UpdateState(state("a")) })
				if f.asking != nil {
					l.ref.Tell(&ResolveNow{})
				}
				if built, _, _ := f.counts(); built != 1 {
					t.Errorf("built %d times at once", built)
				}
				time.Sleep(2 * time.Second)
				if built, _, _ := f.counts(); built != 2 || l.ref.Probe().Restarts() != 1 {
					t.Errorf("built %d times, %d restarts", built, l.ref.Probe().Restarts())
				}
				f.says(func(cc resolver.ClientConn) { _ = cc.UpdateState(state("b")) })
				if diff := cmp.Diff([]string{"b"}, l.addrs()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A third party's method that does not return holds up nothing but itself.
func TestHostedHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hang: make(chan struct{})}
		run1(t, "fake:///x", f, func(l *listener) {
			for range 1000 {
				l.ref.Tell(&ResolveNow{})
			}
			f.says(func(cc resolver.ClientConn) { _ = cc.UpdateState(state("a")) }) // while it builds
			l.count(1, 0)
		})
		// It is closed once it is there.
		if _, _, closed := f.counts(); closed != 0 {
			t.Errorf("closed %d times", closed)
		}
		close(f.hang)
		if _, asked, closed := f.counts(); asked != 0 || closed != 1 {
			t.Errorf("asked %d times, closed %d times", asked, closed)
		}
	})
}

// However often a resolver is to look while it does, that is once more.
func TestHostedResolveNowIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		f := &fake{asking: func() { <-step }}
		run1(t, "fake:///x", f, func(l *listener) {
			synctest.Wait()
			for range 100 {
				l.ref.Tell(&ResolveNow{})
			}
			synctest.Wait()
			step <- struct{}{}
			synctest.Wait()
			step <- struct{}{}
			if _, asked, _ := f.counts(); asked != 2 {
				t.Errorf("asked %d times", asked)
			}
		})
	})
}

// A resolver that talks faster than the actor listens takes no room.
func TestSinkKeepsTheNewest(t *testing.T) {
	told := 0
	s := &sink{parse: parse, tell: func() { told++ }}
	for range 1000 {
		_ = s.UpdateState(state("old"))
		s.ReportError(errBroken)
	}
	_ = s.UpdateState(state("new"))
	if u, f := s.take(); told != 1 || f != nil || len(u.Endpoints) != 1 || u.Endpoints[0].Addresses[0].Addr != "new" {
		t.Error(told, u, f)
	}
	s.ReportError(errBroken)
	if u, f := s.take(); told != 2 || u != nil || !errors.Is(f.Err, errBroken) {
		t.Error(told, u, f)
	}
	_ = s.UpdateState(state("a"))
	s.ReportError(errBroken)
	if u, f := s.take(); told != 3 || u == nil || f == nil {
		t.Error(told, u, f)
	}
	s.close()
	if err := s.UpdateState(resolver.State{}); err != nil || told != 3 {
		t.Error(err, told)
	}
}

// The embedded interface is nil: a method that grpc-go adds has to be written.
func TestSinkHasEveryMethod(t *testing.T) {
	iface := reflect.TypeFor[resolver.ClientConn]()
	own := reflect.TypeFor[*sink]()
	for i := range iface.NumMethod() {
		m, ok := own.MethodByName(iface.Method(i).Name)
		if !ok {
			t.Fatalf("no %s", iface.Method(i).Name)
		}
		file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
		if file == "<autogenerated>" {
			t.Errorf("%s is the embedded one's", m.Name)
		}
	}
}
