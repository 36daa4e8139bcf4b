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
	tell  actors.Ref[any]
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
		cfg: cfg, nc: cfg.NC,
		edge: &edge{}, credits: newCredits(), clock: stream.NewClock(time.Now()), began: time.Now(),
	}
	cfg.Machine.Leaving = func() int { return int(c.leaving.Load()) }
	c.m = connfsm.New(cfg.Machine)
	c.streams = stream.Config{
		Machine: cfg.Stream, Conn: c.edge, Handler: cfg.Handler, SendLimit: cfg.SendLimit,
		Threshold: min(32<<10, int(cfg.Stream.InitialWindow/4)), Clock: c.clock, Low: &c.low, Starving: &c.starving,
	}
	sp := c.spec("conn", actors.Inline, nil)
	sp.Undelivered = undelivered
	if _, err := actors.Spawn[any](ctx, name, sp, c); err != nil {
		return Ref{}, fmt.Errorf("spawn %s: %w", name, err)
	}
	return c.ref(), nil
}

// linger is how long an idle loopy keeps its goroutine, and the stack that goes
// with it.
const linger = 200 * time.Millisecond

func (c *conn) spec(kind string, mode actors.Mode, drained func() bool) *actors.Spec {
	return &actors.Spec{Kind: kind, Mode: mode, Drained: drained, Linger: linger, Table: c.cfg.Table}
}

func (c *conn) streamSpec() *actors.Spec {
	if c.perStream == nil {
		c.perStream = c.spec("stream", actors.Inline, nil)
		c.perStream.Undelivered = c.notOpened
	}
	return c.perStream
}

// notOpened takes back the slot of a call that waited for an actor which has
// stopped meanwhile.
func (c *conn) notOpened(msg any) {
	if m, ok := msg.(*stream.Open); ok {
		slot, id := m.Slot, m.ID
		turnAway(m.Call)
		c.edge.Tell(&stream.Done{Slot: slot, ID: id})
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
