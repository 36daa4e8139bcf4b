package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// guardian is the parent of the connections under test: it spawns, and writes
// down what it hears.
type guardian struct {
	mu     sync.Mutex
	heard  []string
	downs  map[string]error
	failed []error
}

type spawnConn struct {
	name  string
	cfg   Config
	reply chan Ref
}

type spawnAny struct {
	do   func(actor.Context)
	done chan struct{}
}

func (g *guardian) note(format string, args ...any) {
	g.mu.Lock()
	g.heard = append(g.heard, fmt.Sprintf(format, args...))
	g.mu.Unlock()
}

func (g *guardian) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *spawnConn:
		m.cfg.Parent = actors.Self[any](ctx)
		ref, err := Spawn(ctx, m.name, m.cfg)
		if err != nil {
			panic(err)
		}
		m.reply <- ref
	case *spawnAny:
		m.do(ctx)
		close(m.done)
	case *Ready:
		g.note("ready %s", nameOf(m.Ref))
	case *GoAway:
		g.note("goaway %s", nameOf(m.Ref))
	case *Down:
		g.note("down %s", nameOf(m.Ref))
		g.mu.Lock()
		g.downs[nameOf(m.Ref)] = m.Err
		g.mu.Unlock()
	case *ListenerDown:
		g.note("listener down %v", m.Err)
	}
}

// HandleFailure implements actor.SupervisorStrategy.
func (g *guardian) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	g.mu.Lock()
	err, ok := reason.(error)
	if !ok {
		err = fmt.Errorf("%v", reason)
	}
	g.failed = append(g.failed, err)
	g.mu.Unlock()
	g.note("failed %s", child.Id[strings.LastIndexByte(child.Id, '/')+1:])
	sup.StopChildren(child)
}

// said is what the guardian has heard.
func (g *guardian) said() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.heard)
}

func (g *guardian) down(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.downs[name]
}

func (g *guardian) failures() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.failed)
}

func nameOf(r Ref) string {
	id := r.PID().Id
	return id[strings.LastIndexByte(id, '/')+1:]
}

// rig is a client's connection and a server's, back to back.
type rig struct {
	testing.TB
	as             *actor.ActorSystem
	table          *actors.Table
	guard          *guardian
	parent         actors.Ref[any]
	client, server Ref
	cnc, snc       *pipeEnd
	handlers       sync.WaitGroup
}

// options change a rig before it runs.
type options struct {
	client, server Config
	cnc, snc       net.Conn // nil: a pipe
	room           int
	handler        func(*served)
	serve          stream.Handler
}

func newGuardian(tb testing.TB) (*guardian, *rig) {
	g := &guardian{downs: map[string]error{}}
	r := &rig{TB: tb, as: actors.NewSystem(nil), table: &actors.Table{}, guard: g}
	p, err := actors.Spawn[any](r.as.Root, "test", &actors.Spec{Kind: "test", Mode: actors.Goroutine, Table: r.table}, g)
	if err != nil {
		tb.Fatal(err)
	}
	r.parent = p
	return g, r
}

func newRig(tb testing.TB, set func(*options)) *rig {
	_, r := newGuardian(tb)
	o := &options{room: 256 << 10}
	o.client.Machine.Role, o.client.Stream.Role = connfsm.Client, streamfsm.Client
	o.server.Machine.Role, o.server.Stream.Role = connfsm.Server, streamfsm.Server
	o.client.Machine.HandshakeTimeout = -1
	o.client.Stream.InitialWindow, o.server.Stream.InitialWindow = 65535, 65535
	if set != nil {
		set(o)
	}
	o.client.Machine.InitialWindow = o.client.Stream.InitialWindow
	o.server.Machine.InitialWindow = o.server.Stream.InitialWindow
	if o.cnc == nil {
		r.cnc, r.snc = pipe(o.room)
		o.cnc, o.snc = r.cnc, r.snc
	}
	o.server.Handler = o.serve
	if o.serve == nil {
		o.server.Handler = &handlers{r: r, f: o.handler}
	}
	o.client.NC, o.server.NC = o.cnc, o.snc
	o.client.Table, o.server.Table = r.table, r.table
	r.server = r.spawn("server", o.server)
	r.client = r.spawn("client", o.client)
	return r
}

func (r *rig) spawn(name string, cfg Config) Ref {
	m := &spawnConn{name: name, cfg: cfg, reply: make(chan Ref, 1)}
	r.parent.Tell(m)
	return <-m.reply
}

// finish ends both connections and holds the rig to having left nothing.
func (r *rig) finish() {
	r.Helper()
	if r.client.Valid() {
		r.client.Close("the test is over", nil)
		r.server.Close("the test is over", nil)
	}
	r.handlers.Wait()
	r.gone()
	done := r.parent.Probe().Done()
	r.parent.Stop()
	<-done
	if n := r.table.Len(); n != 0 {
		r.Errorf("%d actors are left", n)
	}
}

// gone waits until only the guardian is left.
func (r *rig) gone() {
	r.Helper()
	for end := time.Now().Add(10 * time.Second); r.table.Len() > 1; {
		if time.Now().After(end) {
			for _, p := range r.table.Snapshot() {
				r.Errorf("left: %s %s %+v", p.Path(), p.State(), p.Mailbox().Counters())
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// handlers runs f for each call, on a goroutine.
type handlers struct {
	r *rig
	f func(*served)
}

func (h *handlers) Serve(c *stream.Call) {
	s := &served{Call: c, method: c.In.Method, canceled: make(chan struct{})}
	h.r.handlers.Go(func() {
		c.Attach(s)
		h.f(s)
	})
}

// served is a server's call with its context.
type served struct {
	*stream.Call
	method   string
	canceled chan struct{}
	once     sync.Once
	times    int
	why      error
}

// Cancel implements stream.Canceler.
func (s *served) Cancel(err error) {
	s.times++
	s.once.Do(func() { s.why = err; close(s.canceled) })
}

func (s *served) ok(payload *buffer.Buffer) {
	s.Finish(&streamfsm.Finish{Payload: payload, Trailer: &header.Trailer{}})
}

func (s *served) fail(c codes.Code, msg string) {
	s.Finish(&streamfsm.Finish{Trailer: &header.Trailer{Code: c, Message: msg}})
}

// wire is a message as it travels.
func wire(text string) *buffer.Buffer {
	b := buffer.Get(5 + len(text))
	n := len(text)
	copy(b.B, []byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	copy(b.B[5:], text)
	return b
}

func text(m stream.Message) string {
	if m.Buf == nil {
		return "<none>"
	}
	s := string(m.Buf.B)
	m.Buf.Release()
	return s
}

// call prepares a client's call.
func call(method string) *stream.Call {
	c := stream.NewCall()
	c.Request = header.Request{Method: method, Authority: "test", Scheme: "http"}
	return c
}

func (r *rig) unary(method, payload string) *stream.Call {
	c := call(method)
	c.Unary, c.First, c.FirstEnds = true, wire(payload), true
	r.client.Open(c)
	return c
}

func (r *rig) stream(method string) *stream.Call {
	c := call(method)
	c.Keep = true
	r.client.Open(c)
	return c
}

// within gives up after a minute of virtual time.
func within() <-chan struct{} {
	ch := make(chan struct{})
	time.AfterFunc(time.Minute, func() { close(ch) })
	return ch
}

// settled waits for a unary call's end.
func (r *rig) settled(c *stream.Call) codes.Code {
	r.Helper()
	if err := c.Wait(within()); err != nil {
		r.Fatalf("the call does not end")
	}
	return c.Status().Code()
}

// all receives up to the end of the stream.
func all(c *stream.Call, done <-chan struct{}) (got []string, err error) {
	for {
		m, err := c.Recv(done)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, text(m))
	}
}

// echo answers a unary call or each message of a stream.
func echo(s *served) {
	for {
		m, err := s.Recv(s.canceled)
		if err != nil {
			s.ok(nil)
			return
		}
		if strings.HasSuffix(s.method, "/Unary") {
			s.ok(wire(text(m)))
			return
		}
		if err := s.Send(wire(text(m)), false, s.canceled); err != nil {
			s.ok(nil)
			return
		}
	}
}

func pairTest(t *testing.T, set func(*options), f func(r *rig)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		r := newRig(t, set)
		f(r)
		r.finish()
		synctest.Wait()
	})
}

// stopChild stops a connection's actor as a supervisor would.
func (r *rig) stopChild(c Ref) {
	m := &spawnAny{do: func(ctx actor.Context) { ctx.Stop(c.PID()) }, done: make(chan struct{})}
	r.parent.Tell(m)
	<-m.done
}

func serverConfig(cfg Config) Config {
	cfg.Machine.Role, cfg.Stream.Role = connfsm.Server, streamfsm.Server
	cfg.Stream.InitialWindow = 65535
	cfg.Machine.InitialWindow = 65535
	return cfg
}
