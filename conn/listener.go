package conn

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
)

// Accept pauses grow between these while the listener reports passing errors
// (too many open files, say).
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// ListenerConfig describes one listening socket.
type ListenerConfig struct {
	Listener net.Listener
	Conn     func(net.Conn) (Config, bool) // makes an accepted socket's configuration, its NC if it is to be wrapped; false refuses it
	Lost     Supervisor                    // told of connections that failed; its answer is for clients. nil: nobody
	Parent   actors.Ref[any]
	Table    *actors.Table
}

// Accepting says that the listener's accept loop runs.
type Accepting struct{ Addr net.Addr }

// ListenerDown says that a listener accepts no more; Err is nil when it was
// closed on purpose.
type ListenerDown struct {
	Listener net.Listener
	Err      error
}

// StopAccepting closes the listening socket; the connections live on.
type StopAccepting struct{}

// DrainAll drains the listener's connections.
type DrainAll struct{ Reason string }

// CloseAll closes the listener's connections now.
type CloseAll struct{ Reason string }

// accepted is a new socket, from the accept loop.
type accepted struct{ nc net.Conn }

// acceptEnded is the accept loop's end.
type acceptEnded struct{ err error }

// listener is the actor that accepts.
//
// Role: sockets -> connection actors, of which it is the parent.
//
// Messages in: accepted and acceptEnded from its accept loop, StopAccepting,
// DrainAll and CloseAll from the server, GoAway and Down from connections.
//
// Messages out: ListenerDown to the server.
//
// States: accepting, closed.
//
// Supervision: a connection that panics is stopped, the others live. The
// listener itself is restarted with backoff; its sockets survive that.
type listener struct {
	cfg     ListenerConfig
	self    actors.Ref[any]
	conns   map[string]Ref // by actor id
	n       int
	closed  bool
	looping bool // the accept loop was started
}

// Listen starts a listener as a child of ctx's actor.
func Listen(ctx actor.SpawnerContext, name string, cfg ListenerConfig) (actors.Ref[any], error) {
	l := &listener{cfg: cfg, conns: map[string]Ref{}}
	sp := &actors.Spec{Kind: "listener", Mode: actors.Goroutine, Table: cfg.Table, Undelivered: hangUp}
	return actors.Spawn[any](ctx, name, sp, l)
}

// hangUp closes a socket that was accepted for a listener that is no more.
func hangUp(msg any) {
	if m, ok := msg.(*accepted); ok {
		_ = m.nc.Close()
	}
}

// Receive implements actor.Actor.
func (l *listener) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *accepted:
		l.accept(ctx, m.nc)
	case *Down:
		l.down(m)
	case *Ready, *GoAway:
	case *DrainAll:
		for _, c := range l.conns {
			c.Drain(m.Reason)
		}
	case *CloseAll:
		for _, c := range l.conns {
			c.Close(m.Reason, nil)
		}
	case *StopAccepting:
		l.close(nil)
	case *acceptEnded:
		l.ended(m.err)
	case *actor.Started:
		l.start(ctx)
	case *actor.Stopping:
		l.close(nil)
	case *actor.Terminated: // one that panicked says no Down
		delete(l.conns, m.Who.Id)
	case *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

func (l *listener) start(ctx actor.Context) {
	l.self = actors.Self[any](ctx)
	l.self.Probe().SetState("accepting")
	if l.looping {
		return // a restart: the loop goes on
	}
	l.looping = true
	l.self.Probe().Publish(&Accepting{Addr: l.cfg.Listener.Addr()})
	// Edge: Accept blocks; the loop ends when the socket is closed.
	go acceptLoop(l.cfg.Listener, l.self)
}

func acceptLoop(lis net.Listener, self actors.Ref[any]) {
	pause := acceptPauseMin
	for {
		nc, err := lis.Accept()
		if err == nil {
			pause = acceptPauseMin
			self.Tell(&accepted{nc: nc})
			continue
		}
		if ne, ok := err.(interface{ Temporary() bool }); !ok || !ne.Temporary() {
			self.Tell(&acceptEnded{err: err})
			return
		}
		time.Sleep(pause)
		pause = min(2*pause, acceptPauseMax)
	}
}

func (l *listener) accept(ctx actor.Context, nc net.Conn) {
	if l.closed {
		_ = nc.Close()
		return
	}
	cfg, ok := l.cfg.Conn(nc)
	if !ok {
		_ = nc.Close()
		return
	}
	l.n++
	if cfg.NC == nil { // or what it was wrapped in
		cfg.NC = nc
	}
	cfg.Parent, cfg.Table = l.self, l.cfg.Table
	ref, err := Spawn(ctx, "conn-"+strconv.Itoa(l.n), cfg)
	if err != nil {
		_ = nc.Close()
		return
	}
	l.conns[ref.PID().Id] = ref
}

// down: a connection is over. One that failed is reported; nobody dials a
// client, so nothing else follows.
func (l *listener) down(m *Down) {
	id := m.Ref.PID().Id
	delete(l.conns, id)
	if m.Err == nil || l.cfg.Lost == nil {
		return
	}
	l.cfg.Lost(Failure{Path: id, Kind: KindOf(m.Err), Cause: m.Err, Epoch: 1, Count: 1})
}

// HandleFailure implements actor.SupervisorStrategy: a connection that panics
// is stopped, the others live.
func (l *listener) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	sup.StopChildren(child)
	ref, ok := l.conns[child.Id]
	if !ok {
		return
	}
	err, ok := reason.(error)
	if !ok {
		err = fmt.Errorf("%v", reason)
	}
	l.down(&Down{Ref: ref, Err: err, Ready: true})
}

func (l *listener) close(err error) {
	if l.closed {
		return
	}
	l.closed = true
	l.self.Probe().SetState("closed")
	l.self.Probe().Publish(&ListenerDown{Listener: l.cfg.Listener, Err: err})
	_ = l.cfg.Listener.Close()
}

func (l *listener) ended(err error) {
	if l.closed || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	l.close(err)
	l.cfg.Parent.Tell(&ListenerDown{Listener: l.cfg.Listener, Err: err})
}
