package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// stopRequest is never written to: protoactor shares one too.
var stopRequest = &actor.Stop{}

var discarded atomic.Uint64

// Discarded counts the messages told to the zero Ref in this process.
func Discarded() uint64 { return discarded.Load() }

// Ref addresses one actor that understands messages of type M, without a
// registry lookup. M is an interface or a pointer type: other types cost an
// allocation per message. The zero Ref discards.
type Ref[M any] struct{ m *Mailbox }

// Tell posts a message. If the actor is Inline and idle it handles the message
// before Tell returns. The message belongs to the actor from here on.
func (r Ref[M]) Tell(msg M) {
	if r.m == nil {
		discarded.Add(1)
		return
	}
	r.m.PostUserMessage(msg)
}

// Valid reports whether the Ref addresses an actor, alive or not.
func (r Ref[M]) Valid() bool { return r.m != nil }

// PID is the actor's protoactor address; nil for the zero Ref.
func (r Ref[M]) PID() *actor.PID {
	if r.m == nil {
		return nil
	}
	return r.m.self
}

// Probe shows the actor; nil for the zero Ref.
func (r Ref[M]) Probe() *Probe {
	if r.m == nil {
		return nil
	}
	return r.m.probe()
}

// Depth is the number of messages waiting.
func (r Ref[M]) Depth() int {
	if r.m == nil {
		return 0
	}
	return r.m.Depth()
}

// Stop asks the actor to stop after the message it is handling; what is queued
// behind becomes dead letters. Stopping twice does nothing.
func (r Ref[M]) Stop() {
	if r.m != nil && r.m.state.Load()&stopped == 0 {
		r.m.PostSystemMessage(stopRequest)
	}
}

// Cast gives the same actor under another vocabulary: a parent hands itself to
// a child whose package it imports, in terms of that package's reports.
func Cast[N, M any](r Ref[M]) Ref[N] { return Ref[N](r) }

// Self is the actor that c belongs to; the zero Ref outside of actors made by
// Spawn. Call it during Receive.
func Self[M any](c actor.Context) Ref[M] {
	h, ok := c.Actor().(*shell)
	if !ok {
		return Ref[M]{}
	}
	return Ref[M]{h.m}
}

// ProbeOf is the probe of the actor that c belongs to, or nil.
func ProbeOf(c actor.Context) *Probe { return Self[any](c).Probe() }
