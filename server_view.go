package callboard

import (
	"fmt"
	"sync/atomic"

	"github.com/callboard-rpc/callboard/actors"
)

// serverState is a server's life.
type serverState int32

const (
	serving  serverState = iota // accepts connections and RPCs
	draining                    // the RPCs in flight may end
	closing                     // the connections are cut; handlers may still run
)

func (s serverState) String() string {
	switch s {
	case serving:
		return "serving"
	case draining:
		return "draining"
	case closing:
		return "closing"
	}
	return fmt.Sprintf("state(%d)", int32(s))
}

// ServerStats is a server as of now: the detail that inspection shows of a
// server's actor.
type ServerStats struct {
	Connections int64  // whose transport is up
	Running     int64  // RPCs in flight, those that wait for a worker included
	Served      uint64 // RPCs that have ended
	Panics      uint64 // of handlers, interceptors, codecs and stats handlers
	Workers     int    // goroutines for handlers
	IdleWorkers int    // of them without an RPC
	Queued      int    // RPCs that wait for a worker
}

// serverView is what inspection sees of a server's actor.
type serverView struct {
	srv   *Server
	state atomic.Int32
	conns atomic.Int64
}

var _ actors.View = (*serverView)(nil)

func (v *serverView) now() serverState { return serverState(v.state.Load()) }

// ProbeState implements actors.View.
func (v *serverView) ProbeState() string { return v.now().String() }

// ProbeDetail implements actors.View.
func (v *serverView) ProbeDetail() any {
	w := v.srv.workers.Stats()
	return ServerStats{
		Connections: v.conns.Load(), Running: v.srv.running.Load(), Served: v.srv.served.Load(),
		Panics: v.srv.panics.Load(), Workers: w.Workers, IdleWorkers: w.Idle, Queued: w.Queued,
	}
}
