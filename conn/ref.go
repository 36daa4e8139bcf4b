package conn

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// edge is what others may know of a connection without asking its actor.
type edge struct {
	info  atomic.Pointer[stream.ConnInfo]
	loopy atomic.Pointer[loopy]
	ready atomic.Bool
	down  atomic.Bool
	cause atomic.Pointer[error] // why it drains or is being closed; nil: it is not, or for no reason
	tell  actors.Ref[any]
	load  *load // clients
}

// Tell posts to the connection actor.
func (e *edge) Tell(m any) { e.tell.Tell(m) }

// Info describes the connection.
func (e *edge) Info() *stream.ConnInfo { return e.info.Load() }

// Ref names a connection to its parent and to applications. Refs are equal when
// they name the same connection.
type Ref struct{ e *edge }

// Valid says whether r names a connection.
func (r Ref) Valid() bool { return r.e != nil }

// Up says whether the connection can take streams, as far as is known here.
func (r Ref) Up() bool { return r.e.ready.Load() && !r.e.down.Load() }

// Open asks for a stream for a client's call.
func (r Ref) Open(c *stream.Call) { c.Open(r.e) }

// Transport is the connection as a call needs it.
func (r Ref) Transport() stream.Transport { return r.e }

// Drain ends the connection gently.
func (r Ref) Drain(reason string) { r.e.Tell(&Drain{Reason: reason}) }

// Spill refuses the calls that wait for a stream.
func (r Ref) Spill() { r.e.Tell(&Spill{}) }

// Close ends the connection now.
func (r Ref) Close(reason string, err error) { r.e.Tell(&Close{Reason: reason, Err: err}) }

// CloseWith ends the connection now. Its RPCs get the code.
func (r Ref) CloseWith(code codes.Code, reason string) { r.e.Tell(&Close{Reason: reason, Code: code}) }

// Info describes the connection; nil before its handshake.
func (r Ref) Info() *stream.ConnInfo { return r.e.Info() }

// PID is the connection's actor.
func (r Ref) PID() *actor.PID { return r.e.tell.PID() }

// Probe is the connection's entry in the table of live actors.
func (r Ref) Probe() *actors.Probe { return r.e.tell.Probe() }

func (c *conn) ref() Ref { return Ref{e: c.edge} }

// Spawn starts a connection over cfg.NC as a child of ctx's actor. Its parent
// hears Ready, GoAway and Down.
func Spawn(ctx actor.SpawnerContext, name string, cfg Config) (Ref, error) {
	cfg.fill()
	c := &conn{
		first: &reader{cfg: &cfg, nc: cfg.NC}, nc: cfg.NC, rules: cfg.rules(),
		parent: cfg.Parent, table: cfg.Table, onUp: cfg.OnUp, onDown: cfg.OnDown,
		edge: &edge{}, clock: stream.NewClock(time.Now()), began: time.Now(),
	}
	if c.rules.role == connfsm.Client {
		c.edge.load = new(load)
	}
	cfg.Machine.Leaving = c
	c.m = connfsm.New(cfg.Machine)
	c.streams = stream.Config{
		Machine: cfg.Stream, Conn: c.edge, Handler: cfg.Handler, SendLimit: cfg.SendLimit, SendBudget: cfg.SendBudget,
		Threshold: min(32<<10, int(cfg.Stream.InitialWindow/4)), Clock: c.clock, Low: &c.low, Starving: &c.starving,
	}
	if _, err := actors.Spawn[any](ctx, name, connSpec(cfg.Table), c); err != nil {
		return Ref{}, fmt.Errorf("spawn %s: %w", name, err)
	}
	return c.ref(), nil
}

// linger is how long an idle loopy keeps its goroutine, and the stack that goes
// with it.
const linger = 200 * time.Millisecond

// connSpec is shared by all connections of a table, like those of their
// children.
func connSpec(t *actors.Table) *actors.Spec {
	return t.Spec("conn", func() *actors.Spec {
		return &actors.Spec{Kind: "conn", Mode: actors.Inline, Table: t, Undelivered: undelivered}
	})
}

func readerSpec(t *actors.Table) *actors.Spec {
	return t.Spec("reader", func() *actors.Spec {
		return &actors.Spec{Kind: "reader", Mode: actors.Goroutine, Table: t}
	})
}

func loopySpec(t *actors.Table) *actors.Spec {
	return t.Spec("loopy", func() *actors.Spec {
		return &actors.Spec{
			Kind: "loopy", Mode: actors.Resident, Linger: linger, Table: t,
			Drained: func(a actor.Actor) bool { return a.(*loopy).drained() },
			Visit: actors.Visit{
				May:     func(a actor.Actor, msg any) bool { return a.(*loopy).mayVisit(msg) },
				Visited: func(a actor.Actor) bool { return a.(*loopy).visited() },
			},
		}
	})
}

func streamSpec(t *actors.Table) *actors.Spec {
	return t.Spec("stream", func() *actors.Spec {
		return &actors.Spec{Kind: "stream", Mode: actors.Inline, Table: t, Undelivered: notOpened}
	})
}

// notOpened takes back the slot of a call that waited for an actor which has
// stopped meanwhile.
func notOpened(msg any) {
	if m, ok := msg.(*stream.Open); ok {
		slot, id, t := m.Slot, m.ID, m.Call.Transport()
		turnAway(m.Call)
		t.Tell(&stream.Done{Slot: slot, ID: id})
	}
}

// undelivered answers those who asked a connection that is no more.
func undelivered(msg any) {
	if m, ok := msg.(*stream.OpenCall); ok {
		turnAway(m.Call)
	}
}

func turnAway(call *stream.Call) {
	call.Refuse(&streamfsm.Outcome{
		Status: status.New(codes.Unavailable, errStopped.Error()), Code: codes.Unavailable, Unprocessed: true,
	})
}

// Leaving counts streams whose end the peer may know before the machine does.
func (c *conn) Leaving() int { return int(c.leaving.Load()) }
