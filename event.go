package callboard

import "time"

// Event is something that happened to a channel, a connection, a server or an
// actor; see System.Subscribe. It is one of the types below, by value:
//
//	switch ev := ev.(type) {
//	case callboard.ChannelState:
//		log.Printf("%s is %v now: %v", ev.Path(), ev.To, ev.Err)
//	case callboard.ConnectionDown:
//		log.Printf("%s: %v: %v", ev.Path(), ev.Kind, ev.Cause)
//	}
//
// Further types may be added. Events are never about a single RPC: for those
// there are stats handlers.
type Event interface {
	When() time.Time
	// Path is that of the actor it happened to, as Inspect shows it.
	Path() string
	event()
}

// Origin is where and when an event happened.
type Origin struct {
	At    time.Time
	Actor string
}

// When implements Event.
func (o Origin) When() time.Time { return o.At }

// Path implements Event.
func (o Origin) Path() string { return o.Actor }

func (Origin) event() {}

// Dropped stands where events are missing, because the subscriber had as many
// waiting as its bound allows. When is that of the first one missing, Path the
// system's name.
type Dropped struct {
	Origin
	N uint64
}

// ActorPanicked says that an actor panicked: a bug of ours, or of code that
// runs on its turn, as a resolver's does. What follows is its supervisor's
// decision.
type ActorPanicked struct {
	Origin
	Kind    string // "resolver", "conn", "stream", ...
	Reason  error  // an *actors.Panic: value and stack
	Message string // type of the message that was being handled
}

// ActorRestarted says that an actor which panicked has begun anew.
type ActorRestarted struct {
	Origin
	Kind     string
	Restarts int // since it was spawned
}
