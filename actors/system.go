package actors

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// NewSystem returns an actor system that is quiet: protoactor's warnings and
// errors go to logger (nil: nowhere), its chatter nowhere, and no message is
// ever printed. It costs about 3 MB, so a process has one.
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
