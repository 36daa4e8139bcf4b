package resolver

import (
	"errors"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
)

// listener is a resolver's parent, which supervises it as a channel does.
type listener struct {
	testing.TB
	cfg     Config
	ref     actors.Ref[any]
	started chan actors.Ref[any]

	mu      sync.Mutex
	updates []*Update
	failed  []*Failed
}

// Receive implements actor.Actor.
func (l *listener) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.cfg.Parent = actors.Self[any](ctx)
		ref, err := Spawn(ctx, "resolver", l.cfg)
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
		l.failed = append(l.failed, m)
		l.mu.Unlock()
	}
}

// heard is what came so far, once nothing moves any more.
func (l *listener) heard() (updates []*Update, failed []*Failed) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.updates, l.failed
}

// count is how many updates and failures there were.
func (l *listener) count(updates, failed int) {
	l.Helper()
	us, fs := l.heard()
	if len(us) != updates || len(fs) != failed {
		l.Errorf("%d updates and %d failures, not %d and %d", len(us), len(fs), updates, failed)
		for _, f := range fs {
			l.Log(f.Err)
		}
	}
}

func (l *listener) last() *Update {
	l.Helper()
	us, _ := l.heard()
	if len(us) == 0 {
		l.Fatal("no update")
	}
	return us[len(us)-1]
}

// addrs are the addresses of the newest update.
func (l *listener) addrs() []string {
	l.Helper()
	return addrsOf(l.last().Endpoints)
}

func addrsOf(eps []resolver.Endpoint) []string {
	var out []string
	for _, ep := range eps {
		for _, a := range ep.Addresses {
			out = append(out, a.Addr)
		}
	}
	return out
}

func (l *listener) status() *Status {
	l.Helper()
	synctest.Wait()
	st, ok := l.ref.Probe().Detail().(*Status)
	if !ok {
		l.Fatalf("the probe shows %T", l.ref.Probe().Detail())
	}
	return st
}

// parsed is the service config of these tests: any JSON but "broken".
type parsed struct {
	serviceconfig.Config
	js string
}

var errBroken = errors.New("broken")

func parse(js string) *serviceconfig.ParseResult {
	switch js {
	case "broken":
		return &serviceconfig.ParseResult{Err: errBroken}
	case "panics":
		panic(js)
	}
	return &serviceconfig.ParseResult{Config: parsed{js: js}}
}

func target(t testing.TB, s string) resolver.Target {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return resolver.Target{URL: *u}
}

// inBubble runs a resolver in virtual time.
func inBubble(t *testing.T, tgt string, b resolver.Builder, run func(l *listener), opts ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run1(t, tgt, b, run, opts...) })
}

func run1(t *testing.T, tgt string, b resolver.Builder, run func(l *listener), opts ...func(*Config)) {
	t.Helper()
	table := &actors.Table{}
	l := &listener{TB: t, started: make(chan actors.Ref[any], 1), cfg: Config{
		Target: target(t, tgt), Builder: b, Table: table, Parse: parse,
	}}
	for _, o := range opts {
		o(&l.cfg)
	}
	as := actors.NewSystem(nil)
	sp := &actors.Spec{Kind: "channel", Mode: actors.Goroutine, Table: table, Supervisor: actors.RestartFailed(actors.GRPCBackoff)}
	parent, err := actors.Spawn[any](as.Root, "channel", sp, l)
	if err != nil {
		t.Fatal(err)
	}
	l.ref = <-l.started
	run(l)
	done := parent.Probe().Done()
	parent.Stop()
	<-done
	if n := table.Len(); n != 0 {
		t.Errorf("%d actors are left", n)
	}
}
