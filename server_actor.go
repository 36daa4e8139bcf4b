package callboard

import (
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/conn"
)

// serverActor is the actor behind a Server.
//
// Role: parent of the listeners; knows how many connections there are, and
// ends the server when there is nothing left to wait for.
//
// Messages in: listen from Serve, stopServer from Stop, GracefulStop and
// Shutdown, *conn.ListenerDown and *conn.Failure from listeners, connUp and
// connDown from connections, handlersDone from the last RPC.
//
// Messages out, to listeners: *conn.StopAccepting, *conn.DrainAll,
// *conn.CloseAll.
//
// States: serving, draining (RPCs may end), closing (connections are cut,
// handlers may still run).
//
// Supervision: a listener that panics is restarted with backoff; its socket
// survives that.
type serverActor struct {
	srv       *Server
	supervise conn.Supervisor
	self      actors.Ref[any]
	listeners []*listening
	numbered  int // listeners of addresses that were taken
	conns     int // up
	failures  int
	first     time.Time // of the failures
	view      serverView
	waiting   []chan struct{} // closed when all connections are down
}

// listening is one listener. Its actor lives on after its socket: it is the
// parent of the connections.
type listening struct {
	ref   actors.Ref[any]
	lis   net.Listener
	ended chan error // nil once Serve was told
}

// In.

// listen asks for a listener. ended gets what Serve returns; it has room.
type listen struct {
	lis   net.Listener
	ended chan error
}

// stopServer ends the server: now, or when the RPCs in flight have ended.
// closed is closed when all connections are down.
type stopServer struct {
	now    bool
	closed chan struct{}
}

// connUp says that a connection's transport is up.
type connUp struct{}

// connDown says that a connection that was up is over.
type connDown struct{}

// handlersDone says that no RPC runs, as far as its sender saw.
type handlersDone struct{}

// Receive implements actor.Actor.
func (a *serverActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *connUp:
		a.conns++
		a.view.conns.Store(int64(a.conns))
	case *connDown:
		a.conns--
		a.view.conns.Store(int64(a.conns))
		a.endIfDone(ctx)
	case *conn.Failure:
		a.failed(*m)
	case *handlersDone:
		a.endIfDone(ctx)
	case *listen:
		a.listen(ctx, m)
	case *conn.ListenerDown:
		a.listenerDown(m)
	case *stopServer:
		a.stop(ctx, m)
	case *actor.Started:
		a.start(ctx)
	case *actor.Stopped:
		a.stopped()
	case *actor.Terminated, *actor.Stopping, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

func (a *serverActor) start(ctx actor.Context) {
	a.self = actors.Self[any](ctx)
	a.view.srv = a.srv
	a.self.Probe().SetView(&a.view)
}

func (a *serverActor) listen(ctx actor.Context, m *listen) {
	if a.view.now() != serving {
		_ = m.lis.Close()
		m.ended <- nil
		return
	}
	cfg := conn.ListenerConfig{Listener: m.lis, Conn: a.srv.accepted, Parent: a.self, Table: a.srv.sys.table}
	if a.supervise != nil {
		cfg.Lost = a.lost
	}
	name := "listener-" + m.lis.Addr().String()
	ref, err := conn.Listen(ctx, name, cfg)
	for ; err != nil && a.numbered < maxSameAddress; ref, err = conn.Listen(ctx, name+"#"+strconv.Itoa(a.numbered), cfg) {
		a.numbered++
	}
	if err != nil {
		_ = m.lis.Close()
		m.ended <- err
		return
	}
	a.listeners = append(a.listeners, &listening{ref: ref, lis: m.lis, ended: m.ended})
}

// maxSameAddress is how many listeners may have had one address, as those of
// in-memory networks do.
const maxSameAddress = 1 << 16

func (a *serverActor) listenerDown(m *conn.ListenerDown) {
	for _, l := range a.listeners {
		if l.lis != m.Listener || l.ended == nil {
			continue
		}
		err := m.Err
		if a.view.now() != serving {
			err = nil
		} else if err == nil {
			err = net.ErrClosed
		}
		l.ended <- err
		l.ended = nil
	}
}

// lost runs on a listener's turn. There is nothing to decide: a client that is
// lost comes back by itself, or does not.
func (a *serverActor) lost(f conn.Failure) conn.Directive {
	if errors.Is(f.Cause, credentials.ErrConnDispatched) {
		return conn.Directive{} // it was never ours
	}
	a.self.Tell(&f)
	return conn.Directive{}
}

// failed lets the user's supervisor know.
func (a *serverActor) failed(f conn.Failure) {
	defer a.srv.contain("supervisor", "")
	now := time.Now()
	if a.failures == 0 {
		a.first = now
	}
	a.failures++
	f.Count, f.Window = a.failures, now.Sub(a.first)
	a.srv.sys.supervisor(a.supervise)(f)
}

func (a *serverActor) stop(ctx actor.Context, m *stopServer) {
	a.waiting = append(a.waiting, m.closed)
	a.srv.stopping.Store(true)
	for _, l := range a.listeners {
		l.ref.Tell(&conn.StopAccepting{})
		if m.now {
			l.ref.Tell(&conn.CloseAll{Reason: "the server is stopped"})
		} else {
			l.ref.Tell(&conn.DrainAll{Reason: "the server is stopping"})
		}
	}
	switch {
	case m.now:
		a.become(closing, "stop")
	case a.view.now() == serving:
		a.become(draining, "drain")
	}
	a.endIfDone(ctx)
}

// endIfDone ends the server's actors when connections and handlers are gone.
func (a *serverActor) endIfDone(ctx actor.Context) {
	if a.view.now() == serving || a.conns > 0 {
		return
	}
	if a.srv.running.Load() == 0 {
		ctx.Stop(ctx.Self())
		return
	}
	a.release()
}

// release lets those go who wait for the connections only.
func (a *serverActor) release() {
	for _, c := range a.waiting {
		close(c)
	}
	a.waiting = nil
}

// stopped is the end, also when a system was shut down around the server.
func (a *serverActor) stopped() {
	for _, l := range a.listeners {
		if l.ended != nil {
			l.ended <- nil
			l.ended = nil
		}
	}
	a.release()
	a.srv.leave()
}

func (a *serverActor) become(st serverState, on string) {
	from := a.view.now()
	if from == st {
		return
	}
	a.view.state.Store(int32(st))
	a.self.Probe().Record(actors.Transition{At: time.Now(), From: from.String(), To: st.String(), On: on})
}
