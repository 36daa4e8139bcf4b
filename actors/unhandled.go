package actors

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

var unhandled atomic.Uint64

// UnhandledCount counts messages no actor of this process knew. It is 0 unless
// there is a bug; tests hold it to that.
func UnhandledCount() uint64 { return unhandled.Load() }

// Unhandled reports a message that an actor's Receive has no case for: a bug of
// ours. It belongs into each default case. Messages of protoactor's own
// vocabulary are fine to ignore.
func Unhandled(c actor.Context) {
	switch m := c.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, *actor.Started, *actor.Stopped:
	default:
		unhandled.Add(1)
		c.Logger().Error("unhandled message", "actor", c.Self().Id, "type", fmt.Sprintf("%T", m))
	}
}

// MustSpawn is Spawn for children whose name only their parent gives out: a
// name that is taken is a bug of ours, and panics.
func MustSpawn[M any](parent actor.SpawnerContext, name string, spec *Spec, a actor.Actor) Ref[M] {
	r, err := Spawn[M](parent, name, spec, a)
	if err != nil {
		panic(err)
	}
	return r
}
