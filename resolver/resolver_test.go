package resolver

import (
	"errors"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
)

// fake is a resolver under the test's control, and its builder.
type fake struct {
	mu     sync.Mutex
	cc     resolver.ClientConn
	target resolver.Target
	built  int
	asked  int
	closed int
	fail   error
	panics int
}

func (f *fake) Build(t resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.built++
	f.cc, f.target = cc, t
	if f.panics > 0 {
		f.panics--
		panic("the builder panics")
	}
	if f.fail != nil {
		return nil, f.fail
	}
	return f, nil
}

func (f *fake) builds() int { f.mu.Lock(); defer f.mu.Unlock(); return f.built }

func (*fake) Scheme() string { return "fake" }

func (f *fake) ResolveNow(resolver.ResolveNowOptions) { f.mu.Lock(); f.asked++; f.mu.Unlock() }
func (f *fake) Close()                                { f.mu.Lock(); f.closed++; f.mu.Unlock() }

// listener is the resolver's parent.
type listener struct {
	cfg     Config
	started chan actors.Ref[any]
	mu      sync.Mutex
	updates []*Update
	failed  []error
}

func (l *listener) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.cfg.Parent = actors.Self[any](ctx)
		ref, err := Spawn(ctx, l.cfg)
		if err != nil {
			panic(err)
		}
		l.started <- ref
	case *Update:
		l.mu.Lock()
		l.updates = append(l.updates, m)
		l.mu.Unlock()
	case *Failed:
		l.mu.Lock()
		l.failed = append(l.failed, m.Err)
		l.mu.Unlock()
	}
}

func resolverTest(t *testing.T, f *fake, run func(t *testing.T, l *listener, ref actors.Ref[any])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		table := &actors.Table{}
		u, _ := url.Parse("fake:///somewhere")
		l := &listener{started: make(chan actors.Ref[any], 1), cfg: Config{
			Target: resolver.Target{URL: *u}, Builder: f, Table: table,
			Parse: func(js string) *serviceconfig.ParseResult { return &serviceconfig.ParseResult{Err: errors.New(js)} },
		}}
		as := actors.NewSystem(nil)
		sp := &actors.Spec{Kind: "channel", Mode: actors.Goroutine, Table: table, Supervisor: actors.RestartFailed(actors.GRPCBackoff)}
		parent, err := actors.Spawn[any](as.Root, "channel", sp, l)
		if err != nil {
			t.Fatal(err)
		}
		ref := <-l.started
		synctest.Wait()
		run(t, l, ref)
		done := parent.Probe().Done()
		parent.Stop()
		<-done
		if n := table.Len(); n != 0 {
			t.Errorf("%d actors are left", n)
		}
		if f.fail == nil && f.closed != 1 {
			t.Errorf("closed %d times", f.closed)
		}
	})
}

func (l *listener) last(t *testing.T) *Update {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.updates) == 0 {
		t.Fatal("no update")
	}
	return l.updates[len(l.updates)-1]
}

func TestUpdates(t *testing.T) {
	f := &fake{}
	resolverTest(t, f, func(t *testing.T, l *listener, ref actors.Ref[any]) {
		if f.target.Endpoint() != "somewhere" || ref.Probe().Path() != "channel/resolver" || ref.Probe().State() != "starting" {
			t.Errorf("target %v, path %s, state %s", f.target, ref.Probe().Path(), ref.Probe().State())
		}
		sc := f.cc.ParseServiceConfig("{}")
		if err := f.cc.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: "a"}, {Addr: "b"}}, ServiceConfig: sc}); err != nil {
			t.Error(err)
		}
		u := l.last(t)
		if len(u.Endpoints) != 2 || u.Endpoints[1].Addresses[0].Addr != "b" || u.Config != sc {
			t.Errorf("update %+v", u)
		}
		if err := f.cc.UpdateState(resolver.State{Endpoints: []resolver.Endpoint{{Addresses: []resolver.Address{{Addr: "c"}, {Addr: "d"}}}}}); err != nil {
			t.Error(err)
		}
		if u := l.last(t); len(u.Endpoints) != 1 || len(u.Endpoints[0].Addresses) != 2 {
			t.Errorf("update %+v", u)
		}
		if got := ref.Probe().State(); got != "resolved" {
			t.Errorf("state %s", got)
		}
		ref.Tell(&ResolveNow{})
		synctest.Wait()
		if f.asked != 1 {
			t.Errorf("asked %d times", f.asked)
		}
	})
}

func TestFailures(t *testing.T) {
	f := &fake{}
	resolverTest(t, f, func(t *testing.T, l *listener, ref actors.Ref[any]) {
		why := errors.New("no such host")
		f.cc.ReportError(why)
		synctest.Wait()
		if len(l.failed) != 1 || l.failed[0] != why || ref.Probe().State() != "failing" {
			t.Errorf("failed %v, state %s", l.failed, ref.Probe().State())
		}
		if err := f.cc.UpdateState(resolver.State{}); err == nil {
			t.Error("an update without addresses was taken")
		}
		synctest.Wait()
		if len(l.failed) != 2 || len(l.updates) != 0 {
			t.Errorf("failed %v, updates %v", l.failed, l.updates)
		}
	})
}

func TestBuildFails(t *testing.T) {
	why := errors.New("bad target")
	f := &fake{fail: why}
	resolverTest(t, f, func(t *testing.T, l *listener, ref actors.Ref[any]) {
		ref.Tell(&ResolveNow{}) // nobody to ask
		synctest.Wait()
		if len(l.failed) != 1 || !errors.Is(l.failed[0], why) {
			t.Errorf("failed %v", l.failed)
		}
	})
}

// A resolver that panics is built again, after a pause.
func TestRestart(t *testing.T) {
	f := &fake{panics: 1}
	resolverTest(t, f, func(t *testing.T, l *listener, ref actors.Ref[any]) {
		if n := f.builds(); n != 1 {
			t.Errorf("built %d times at once", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := f.builds(); n != 2 || ref.Probe().Restarts() != 1 {
			t.Errorf("built %d times, %d restarts", n, ref.Probe().Restarts())
		}
		if err := f.cc.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: "a"}}}); err != nil {
			t.Error(err)
		}
		l.last(t)
	})
}
