package actors

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// NewSystem returns an actor system that is quiet: protoactor's warnings and
// errors go to logger (nil: nowhere), its chatter nowhere, and no message is
// ever printed. Making it takes 2 ms and 3 MB, of which 20 KB remain, so a
// process has one.
//
// protoactor's Shutdown stops no actor: stop the roots and wait for their
// Probe.Done first.
func NewSystem(logger *slog.Logger) *actor.ActorSystem {
	h := slog.DiscardHandler
	if logger != nil {
		h = quiet{logger.Handler()}
	}
	as := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(h)
	}))
	shrinkRegistry(as)
	// The stock subscribers log every dead letter with its content and keep a
	// goroutine a second long to count them. What else they do is below.
	as.EventStream = eventstream.NewEventStream()
	as.EventStream.Subscribe(func(ev any) {
		if d, ok := ev.(*actor.DeadLetterEvent); ok {
			answerDeadLetter(as, d)
		}
	})
	return as
}

// registryShards is how many of its 1,024 groups of maps an actor system keeps,
// 32 maps each.
const registryShards = 4

// shrinkRegistry makes do with fewer maps. 32,768 of them take 2.5 MB while they
// are empty, and in all but the largest systems each actor would be alone in
// one: 300 octets for an entry of 40. They are asked only when an actor begins
// or ends, so a lock shared by more of them costs nothing.
func shrinkRegistry(as *actor.ActorSystem) {
	reg := as.ProcessRegistry
	own := map[string]actor.Process{}
	for _, id := range []string{"deadletter", "eventstream"} {
		if p, ok := reg.GetLocal(id); ok {
			own[id] = p
		}
	}
	reg.LocalPIDs.LocalPIDs = slices.Clone(reg.LocalPIDs.LocalPIDs[:registryShards])
	for id, p := range own {
		reg.Add(p, id)
	}
}

// answerDeadLetter tells those who wait for a reply that none will come.
func answerDeadLetter(as *actor.ActorSystem, d *actor.DeadLetterEvent) {
	if d.Sender != nil {
		as.Root.Send(d.Sender, &actor.DeadLetterResponse{Target: d.PID})
	}
	if w, ok := d.Message.(*actor.Watch); ok {
		if to, ok := as.ProcessRegistry.Get(w.Watcher); ok {
			to.SendSystemMessage(w.Watcher, &actor.Terminated{
				Who: d.PID, Why: actor.TerminatedReason_NotFound,
			})
		}
	}
}

// quiet passes warnings and errors on, with messages replaced by their type:
// they belong to somebody else by now and may hold a payload.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "message" {
			a.Value = slog.StringValue(fmt.Sprintf("%T", a.Value.Any()))
		}
		clean.AddAttrs(a)
		return true
	})
	return q.Handler.Handle(ctx, clean)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
