package callboard

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/conn"
)

// observe is the system's observer while somebody subscribes: it makes events
// of what actors go through. It runs on their turns.
func (s *System) observe(p *actors.Probe, t actors.Transition, detail any) {
	if ev := s.eventOf(p, t, detail); ev != nil {
		s.events.publish(ev)
	}
}

// publish is for what no actor's log shows. Making ev costs little: it is rare.
func (s *System) publish(ev Event) {
	if s.events.watched.Load() {
		s.events.publish(ev)
	}
}

// eventOf translates. Most transitions are nobody's business outside.
func (s *System) eventOf(p *actors.Probe, t actors.Transition, detail any) Event {
	at := Origin{At: t.At, Actor: p.Path()}
	switch d := detail.(type) {
	case Event:
		return d
	case *actors.Failure:
		return ActorPanicked{Origin: at, Kind: p.Kind(), Reason: d.Reason, Message: d.Message}
	case actors.Restarted:
		return ActorRestarted{Origin: at, Kind: p.Kind(), Restarts: d.Incarnation}
	case *conn.Ready:
		return s.connectionUp(at, d)
	case *conn.GoAway:
		return s.goAway(at, d)
	case *conn.Down:
		return s.connectionDown(at, p, d)
	case balancer.Situation:
		if t.From == t.To {
			return nil
		}
		return SubchannelState{
			Origin: at, Address: d.Address, From: stateNamed(t.From), To: stateNamed(t.To), Err: d.Err, NextAttempt: d.Next,
		}
	case *conn.Accepting:
		return ServerListening{Origin: at, Addr: d.Addr}
	case *conn.ListenerDown:
		return ServerListenerDown{Origin: at, Addr: d.Listener.Addr(), Err: d.Err}
	}
	if t.From == t.To {
		return nil
	}
	err, _ := detail.(error)
	switch p.Kind() {
	case "channel":
		return ChannelState{Origin: at, From: stateNamed(t.From), To: stateNamed(t.To), Err: err}
	case "server":
		return ServerState{Origin: at, From: t.From, To: t.To}
	}
	return nil
}

func (s *System) connectionUp(at Origin, m *conn.Ready) Event {
	info := m.Ref.Info()
	if s.isServers(at.Actor) {
		return ServerConnectionUp{Origin: at, Number: epochOf(at.Actor), Local: info.Local, Peer: info.Remote}
	}
	return ConnectionUp{Origin: at, Epoch: epochOf(at.Actor), Local: info.Local, Peer: info.Remote}
}

func (s *System) goAway(at Origin, m *conn.GoAway) Event {
	if m.Frame == nil || s.isServers(at.Actor) {
		return nil // it was ourselves, or a client that leaves
	}
	return GoAwayReceived{
		Origin: at, Epoch: epochOf(at.Actor), Code: m.Frame.Code, Debug: string(m.Frame.Debug),
		LastStreamID: uint32(m.Frame.LastStreamID),
	}
}

func (s *System) connectionDown(at Origin, p *actors.Probe, m *conn.Down) Event {
	d := ConnectionDown{Origin: at, Epoch: epochOf(at.Actor), Cause: m.Err, Up: m.Ready, Lived: lived(p, at.At)}
	if why := m.Ref.Cause(); why != nil {
		d.Cause = why
	}
	if d.Cause != nil {
		d.Kind = conn.KindOf(d.Cause)
	}
	if info := m.Ref.Info(); info != nil {
		d.Peer = info.Remote
	}
	if s.isServers(at.Actor) {
		if errors.Is(d.Cause, credentials.ErrConnDispatched) {
			return nil // it was never ours
		}
		return ServerConnectionDown{
			Origin: at, Number: d.Epoch, Peer: d.Peer, Kind: d.Kind, Cause: d.Cause, Up: d.Up, Lived: d.Lived,
		}
	}
	return d
}

func lived(p *actors.Probe, now time.Time) time.Duration { return max(0, now.Sub(p.Started())) }

// isServers says on which side of the tree an actor lives.
func (s *System) isServers(path string) bool { return strings.HasPrefix(path, s.name+"/server/") }

// epochOf is the number in the name of a connection's actor.
func epochOf(path string) int {
	i := strings.LastIndex(path, "/conn-")
	if i < 0 {
		return 0
	}
	n, _ := strconv.Atoi(path[i+len("/conn-"):])
	return n
}

func stateNamed(name string) connectivity.State {
	for s := connectivity.Idle; s < connectivity.Shutdown; s++ {
		if s.String() == name {
			return s
		}
	}
	return connectivity.Shutdown
}
