package balancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/resolver"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// server is an address's end of one connection: it speaks just enough HTTP/2.
type server struct {
	nc net.Conn
	mu sync.Mutex
	fr *http2.Framer

	streams uint32 // MAX_CONCURRENT_STREAMS; 0: unlimited
}

func (s *server) run(silent bool) {
	defer s.nc.Close()
	if _, err := io.ReadFull(s.nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	if !silent {
		var set []http2.Setting
		if s.streams > 0 {
			set = append(set, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: s.streams})
		}
		s.write(func() error { return s.fr.WriteSettings(set...) })
	}
	for {
		f, err := s.fr.ReadFrame()
		if err != nil {
			return
		}
		if f, ok := f.(*http2.SettingsFrame); ok && !f.IsAck() && !silent {
			s.write(s.fr.WriteSettingsAck)
		}
	}
}

func (s *server) write(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = f() // the client may have gone
}

func (s *server) goAway(last uint32, code http2.ErrCode, why string) {
	s.write(func() error { return s.fr.WriteGoAway(last, code, []byte(why)) })
}

// world is a balancer with the network it dials into.
type world struct {
	testing.TB
	table  *actors.Table
	parent actors.Ref[any]
	bal    actors.Ref[any]
	began  time.Time

	mu       sync.Mutex
	how      map[string]string // address -> "up", "refused", "hangs", "silent"
	dials    []string          // "address at seconds since the start"
	times    []time.Duration
	servers  []*server
	states   []connectivity.State
	pickers  []*Picker
	resolves int
	unused   []time.Duration
	streams  uint32       // servers' MAX_CONCURRENT_STREAMS; 0: unlimited
	readied  chan *Picker // if it is there: gets the pickers that are READY
	choice   policy.Choice
	service  *string
	failures []conn.Failure
	answers  []conn.Directive // the supervisor's, then Default
	running  sync.WaitGroup
}

type setup struct {
	table *actors.Table
	cfg   Config
	ready chan actors.Ref[any]
}

// Receive implements actor.Actor.
func (w *world) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *setup:
		m.cfg.Parent, m.cfg.Table = actors.Self[any](ctx), m.table
		ref, err := Spawn(ctx, "balancer", m.cfg)
		if err != nil {
			w.Error(err)
		}
		m.ready <- ref
	case *Published:
		w.published(m)
	case *Unused:
		w.mu.Lock()
		w.unused = append(w.unused, time.Since(w.began))
		w.mu.Unlock()
	}
}

// published notes pickers, and states where they change.
func (w *world) published(m *Published) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Resolve {
		w.resolves++
	}
	if m.Picker == nil {
		return
	}
	if n := len(w.states); n == 0 || w.states[n-1] != m.Picker.State {
		w.states = append(w.states, m.Picker.State)
	}
	w.pickers = append(w.pickers, m.Picker)
	if w.readied != nil && m.Picker.State == connectivity.Ready {
		w.readied <- m.Picker
	}
}

// HandleFailure implements actor.SupervisorStrategy, as the channel does.
func (w *world) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	sup.ResumeChildren(child)
	w.bal.Tell(&Recovered{Reason: reason})
}

var errRefused = errors.New("connection refused")

func (w *world) dial(ctx context.Context, a grpcresolver.Address) (net.Conn, credentials.AuthInfo, conn.FailureKind, error) {
	w.mu.Lock()
	at := time.Since(w.began)
	w.times = append(w.times, at)
	w.dials = append(w.dials, a.Addr)
	how := w.how[a.Addr]
	w.mu.Unlock()
	switch how {
	case "hangs":
		<-ctx.Done()
		return nil, nil, conn.DialFailed, ctx.Err()
	case "up", "silent":
		c, s := net.Pipe()
		srv := &server{nc: s, fr: http2.NewFramer(s, s), streams: w.streams}
		w.mu.Lock()
		w.servers = append(w.servers, srv)
		w.mu.Unlock()
		w.running.Go(func() { srv.run(how == "silent") })
		return c, nil, 0, nil
	default:
		return nil, nil, conn.DialFailed, errRefused
	}
}

func newWorld(t testing.TB, how map[string]string, set func(*Config)) *world {
	w := &world{TB: t, how: how, table: &actors.Table{}, began: time.Now()}
	cfg := Config{
		Dial: w.dial,
		Conn: func(credentials.AuthInfo) conn.Config {
			var c conn.Config
			c.Machine.Role, c.Stream.Role = connfsm.Client, streamfsm.Client
			c.Machine.InitialWindow, c.Stream.InitialWindow = 65535, 65535
			c.Machine.HandshakeTimeout = -1
			return c
		},
		Backoff: backoff.DefaultConfig, MinConnectTimeout: 20 * time.Second,
		Jitter:   func() float64 { return 0.5 },
		Registry: policy.NewPolicies(policy.Default()...),
		Supervise: func(f conn.Failure) conn.Directive {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failures = append(w.failures, f)
			if len(w.answers) == 0 {
				return conn.Directive{}
			}
			d := w.answers[0]
			w.answers = w.answers[1:]
			return d
		},
	}
	if set != nil {
		set(&cfg)
	}
	as := actors.NewSystem(nil)
	p, err := actors.Spawn[any](as.Root, "channel", &actors.Spec{Kind: "channel", Mode: actors.Goroutine, Table: w.table}, w)
	if err != nil {
		t.Fatal(err)
	}
	w.parent = p
	m := &setup{table: w.table, cfg: cfg, ready: make(chan actors.Ref[any], 1)}
	p.Tell(m)
	w.bal = <-m.ready
	return w
}

func (w *world) offer(addrs ...string) {
	u := &Update{Update: &resolver.Update{}, Choice: w.choice, HealthService: w.service}
	for _, a := range addrs {
		u.Endpoints = append(u.Endpoints, grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: a}}})
	}
	w.bal.Tell(u)
}

func (w *world) connect() { w.bal.Tell(&Connect{Now: true}) }

// use chooses the policy of the offers that follow, as a service config does.
func (w *world) use(js string) {
	w.Helper()
	c, err := policy.ParseList([]byte(js), policy.NewPolicies(policy.Default()...))
	if err != nil {
		w.Fatal(err)
	}
	w.choice = c
}

func pick(p *Picker) (Picked, bool, error) {
	return p.Pick(&policy.PickInfo{Ctx: context.Background(), Method: "/a.B/C"})
}

func (w *world) set(addr, how string) {
	w.mu.Lock()
	w.how[addr] = how
	w.mu.Unlock()
}

func (w *world) answer(d ...conn.Directive) {
	w.mu.Lock()
	w.answers = append(w.answers, d...)
	w.mu.Unlock()
}

// state waits for quiescence and returns the last published state.
func (w *world) state() connectivity.State {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.states) == 0 {
		return connectivity.Idle
	}
	return w.states[len(w.states)-1]
}

func (w *world) picker() *Picker {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pickers[len(w.pickers)-1]
}

func (w *world) server() *server {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[len(w.servers)-1]
}

// took returns and forgets when dials began.
func (w *world) took() (at []time.Duration) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	at, w.times = w.times, nil
	w.dials = nil
	return at
}

func (w *world) dialled() (addrs []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	addrs, w.dials, w.times = w.dials, nil, nil
	return addrs
}

func (w *world) lastFailure() conn.Failure {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failures) == 0 {
		w.Fatal("the supervisor was not asked")
	}
	return w.failures[len(w.failures)-1]
}

func (w *world) asked() int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.failures)
}

func (w *world) expect(want connectivity.State) {
	w.Helper()
	if got := w.state(); got != want {
		w.Fatalf("state %v, want %v (all: %v)", got, want, w.states)
	}
}

func (w *world) expectStates(want ...connectivity.State) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.states, want) {
		w.Errorf("states %v, want %v", w.states, want)
	}
}

// end stops everything and holds the world to having left nothing.
func (w *world) end() {
	w.Helper()
	w.finish()
	synctest.Wait()
}

// finish is end outside of a bubble.
func (w *world) finish() {
	w.Helper()
	w.bal.Tell(&Stop{Reason: "the test is over"})
	select {
	case <-w.bal.Probe().Done():
	case <-time.After(5 * time.Second):
		w.Error("the balancer does not stop")
	}
	done := w.parent.Probe().Done()
	w.parent.Stop()
	<-done
	w.running.Wait()
	if n := w.table.Len(); n != 0 {
		w.Errorf("%d actors are left", n)
	}
}

// call opens a call on the picker's connection.
func (w *world) call() *stream.Call {
	w.Helper()
	k, ok, err := pick(w.picker())
	if !ok {
		w.Fatalf("nothing to pick: %v", err)
	}
	c := stream.NewCall()
	c.Unary, c.FirstEnds = true, true
	c.Request = header.Request{Method: "/a.B/C", Authority: "test", Scheme: "http"}
	k.Conn.Open(c)
	return c
}

func balancerTest(t *testing.T, how map[string]string, set func(*Config), f func(w *world)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		w := newWorld(t, how, set)
		f(w)
		w.end()
	})
}

func seconds(ds []time.Duration) (s []string) {
	for _, d := range ds {
		s = append(s, fmt.Sprintf("%.3g", d.Seconds()))
	}
	return s
}

// picker0 is picker where there may be none yet.
func (w *world) picker0() *Picker {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pickers) == 0 {
		return nil
	}
	return w.pickers[len(w.pickers)-1]
}

func resolverAddress(a string) grpcresolver.Address { return grpcresolver.Address{Addr: a} }
