package balancer

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// checks is a health service whose answers a test gives.
type checks struct {
	mu      sync.Mutex
	running int
	names   []string
	report  func(connectivity.State, error)
}

func (c *checks) health(ctx context.Context, _ Conn, service string, report func(connectivity.State, error)) {
	c.mu.Lock()
	c.running++
	c.names = append(c.names, service)
	c.report = report
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
}

func (c *checks) say(w *world, st connectivity.State) {
	w.picker0() // until all is quiet
	c.mu.Lock()
	report := c.report
	c.mu.Unlock()
	if st == failure {
		report(st, errRefused)
		return
	}
	report(st, nil)
}

func (c *checks) count(w *world) int {
	w.picker0()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

const roundRobin = `[{"round_robin":{}}]`

// With a health check a connection is READY while its service is (gRFC A17).
func TestHealthDecides(t *testing.T) {
	c, name := &checks{}, "s"
	balancerTest(t, up(), func(cfg *Config) { cfg.Health = c.health }, func(w *world) {
		w.use(roundRobin)
		w.service = &name
		w.offer("a")
		w.expect(connecting)
		for _, st := range []connectivity.State{ready, failure, ready, connecting, ready, failure} {
			c.say(w, st)
			w.expect(st)
			if _, ok, _ := pick(w.picker()); ok != (st == ready) {
				t.Errorf("%v: picked %v", st, ok)
			}
			time.Sleep(time.Hour) // it is no backoff
			w.expect(st)
		}
		w.bal.Tell(&ResetBackoff{})
		w.connect()
		w.expect(failure)
		_ = w.server().nc.Close()
		w.expect(connecting)
		if n := c.count(w); n != 1 {
			t.Errorf("%d checks run", n)
		}
		c.say(w, ready)
		w.expect(ready)
		if n := len(w.took()); n != 2 {
			t.Errorf("%d dials", n)
		}
	})
	if !slices.Equal(c.names, []string{"s", "s"}) {
		t.Errorf("watched %v", c.names)
	}
}

// A service config that names another service, or none, changes what is watched.
func TestHealthServiceChanges(t *testing.T) {
	c := &checks{}
	balancerTest(t, up(), func(cfg *Config) { cfg.Health = c.health }, func(w *world) {
		w.use(roundRobin)
		name := "one"
		w.service = &name
		w.offer("a")
		c.say(w, failure)
		w.expect(failure)
		other := ""
		w.service = &other
		w.offer("a")
		c.say(w, ready)
		w.expect(ready)
		c.say(w, failure)
		w.expect(failure)
		w.service = nil
		w.offer("a")
		w.expect(ready)
		if n := c.count(w); n != 0 {
			t.Errorf("%d checks run", n)
		}
	})
	if d := cmp.Diff([]string{"one", ""}, c.names); d != "" {
		t.Error(d)
	}
}

// pick_first checks no health.
func TestPickFirstChecksNoHealth(t *testing.T) {
	c, name := &checks{}, "s"
	balancerTest(t, up(), func(cfg *Config) { cfg.Health = c.health }, func(w *world) {
		w.service = &name
		w.offer("a")
		w.expect(ready)
		if n := c.count(w); n != 0 {
			t.Errorf("%d checks run", n)
		}
	})
}

// reporting asks for load reports of its subchannel.
type reporting struct {
	oneForAll
	every time.Duration
	heard []float64
}

func (p *reporting) Step(ev policy.Event, now time.Time, fx *policy.Effects) {
	p.oneForAll.Step(ev, now, fx)
	switch ev := ev.(type) {
	case *policy.Update:
		fx.Report = append(fx.Report, policy.Report{Subchannel: p.sub, Interval: p.every})
	case *policy.Loaded:
		p.heard = append(p.heard, ev.Report.CPU)
	}
}

// Load reports run while the subchannel is up, on each of its connections in
// turn, until they are not wanted any more.
func TestLoads(t *testing.T) {
	p := &reporting{every: time.Second}
	var mu sync.Mutex
	running, begun := 0, 0
	balancerTest(t, up(), func(cfg *Config) {
		withPolicy(p)(cfg)
		cfg.Loads = func(ctx context.Context, _ Conn, every time.Duration, report func(*policy.Load)) {
			mu.Lock()
			running++
			begun++
			n := begun
			mu.Unlock()
			report(&policy.Load{CPU: float64(n) * every.Seconds()})
			<-ctx.Done()
			mu.Lock()
			running--
			mu.Unlock()
		}
	}, func(w *world) {
		w.offer("a")
		w.expect(ready)
		_ = w.server().nc.Close()
		w.expect(ready)
		p.every = 2 * time.Second
		w.offer("a")
		w.expect(ready)
		p.every = 0
		w.offer("a")
		w.expect(ready)
		mu.Lock()
		defer mu.Unlock()
		if running != 0 || begun != 3 {
			t.Errorf("%d streams run, %d have begun", running, begun)
		}
	})
	if d := cmp.Diff([]float64{1, 2, 6}, p.heard); d != "" {
		t.Error(d)
	}
}
