package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receive makes an actor of a function that sees user messages and lifecycle
// messages alike.
type receive func(actor.Context)

func (f receive) Receive(c actor.Context) { f(c) }

// spawn starts an actor and stops it at the end of the test.
func spawn(tb testing.TB, as *actor.ActorSystem, name string, spec *Spec, f receive) Ref[any] {
	tb.Helper()
	r, err := Spawn[any](as.Root, name, spec, f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopWait(r) })
	return r
}

func stopWait(r Ref[any]) {
	done := r.Probe().Done()
	r.Stop()
	<-done
}

// number is a message that says which it is.
type number struct{ n int }

// order is a message that makes the actor do something.
type order struct{ do func(actor.Context) }

var modes = []Mode{Inline, Goroutine, Resident}
