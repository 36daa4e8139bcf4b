package callboard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Policies for WithSupervision, to be composed:
//
//	callboard.WithSupervision(callboard.First(
//		callboard.LogTo(logger),
//		callboard.OnKind(callboard.HandshakeFailed, callboard.Always(callboard.Escalate())),
//		callboard.FlapWindow(3, 5*time.Second, time.Minute, callboard.Quarantine(30*time.Second)),
//		callboard.RestartBudget(10, time.Minute, callboard.Stop()),
//	))
//
// Each answers Default where it has nothing to say. They take the time from
// Failure.At and read no clock. They may be shared by channels and are safe for
// concurrent use; those that count do so for each supervising actor
// (Failure.Supervisor) on its own, and forget one whose failures have left the
// window.

// Always answers d to every failure.
func Always(d Directive) func(Failure) Directive {
	return func(Failure) Directive { return d }
}

// First asks the policies in turn and gives the first answer that is not
// Default. Those behind it are not asked: put what counts or logs before what
// decides.
func First(policies ...func(Failure) Directive) func(Failure) Directive {
	return func(f Failure) Directive {
		for _, p := range policies {
			if d := p(f); d != Default() {
				return d
			}
		}
		return Default()
	}
}

// OnKind asks policy about failures of one kind, and about no other.
func OnKind(kind FailureKind, policy func(Failure) Directive) func(Failure) Directive {
	return func(f Failure) Directive {
		if f.Kind != kind {
			return Default()
		}
		return policy(f)
	}
}

// OnCause asks policy about failures whose cause is target, as errors.Is has
// it: syscall.ECONNREFUSED, io.EOF, context.DeadlineExceeded.
func OnCause(target error, policy func(Failure) Directive) func(Failure) Directive {
	return func(f Failure) Directive {
		if !errors.Is(f.Cause, target) {
			return Default()
		}
		return policy(f)
	}
}

// RestartBudget allows n failures within any window and answers then to each
// further one, until enough of them have left the window. It is the restart
// intensity of an Erlang supervisor. n below 1 allows none.
func RestartBudget(n int, window time.Duration, then Directive) func(Failure) Directive {
	n = max(n, 0)
	h := history{window: window, most: n + 1}
	return func(f Failure) Directive {
		if h.full(f.Supervisor(), f.At, false) {
			return then
		}
		return Default()
	}
}

// FlapWindow looks for connections that come up and die young: when n in a row
// have each lived shorter than young, and all of them died within window, it
// answers then and begins to count anew. A connection that lives longer ends
// the row. Attempts that never came up (Failure.Lived is 0) count neither way.
// n below 1 is 1.
func FlapWindow(n int, young, window time.Duration, then Directive) func(Failure) Directive {
	n = max(n, 1)
	h := history{window: window, most: n}
	return func(f Failure) Directive {
		who := f.Supervisor()
		switch {
		case f.Lived <= 0:
			return Default()
		case f.Lived >= young:
			h.forget(who)
			return Default()
		case h.full(who, f.At, true):
			return then
		default:
			return Default()
		}
	}
}

// LogTo logs each failure at level Warn, on one line with its kind, path, epoch,
// count and cause, and answers Default.
func LogTo(l *slog.Logger) func(Failure) Directive {
	return func(f Failure) Directive {
		attrs := []slog.Attr{
			slog.String("kind", f.Kind.String()), slog.String("path", f.Path), slog.Int("epoch", f.Epoch),
			slog.Int("count", f.Count), slog.Duration("window", f.Window),
		}
		if f.Lived > 0 {
			attrs = append(attrs, slog.Duration("lived", f.Lived))
		}
		if f.Cause != nil {
			attrs = append(attrs, slog.String("cause", f.Cause.Error()))
		}
		if f.GoAway != nil {
			attrs = append(attrs, slog.String("goaway", f.GoAway.Code.String()), slog.String("debug", string(f.GoAway.Debug)))
		}
		if f.Clause != "" {
			attrs = append(attrs, slog.String("clause", f.Clause))
		}
		l.LogAttrs(context.Background(), slog.LevelWarn, "callboard: connection failure", attrs...)
		return Default()
	}
}

// history is when each supervisor's newest failures were.
type history struct {
	window time.Duration
	most   int // how many are kept of each: more would say no more

	mu    sync.Mutex
	of    map[string][]time.Time // oldest first
	swept time.Time
}

// full notes a failure and says whether h.most lie within the window now, itself
// included; anew then begins from none.
func (h *history) full(who string, at time.Time, anew bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[string][]time.Time{}
	}
	if at.Sub(h.swept) > h.window {
		h.sweep(at)
	}
	list := append(h.recent(h.of[who], at), at)
	list = list[max(0, len(list)-h.most):]
	full := len(list) == h.most
	if full && anew {
		delete(h.of, who)
	} else {
		h.of[who] = list
	}
	return full
}

func (h *history) forget(who string) {
	h.mu.Lock()
	delete(h.of, who)
	h.mu.Unlock()
}

// sweep forgets those who have not failed for a window: subchannels come and
// go under new names.
func (h *history) sweep(now time.Time) {
	h.swept = now
	for who, list := range h.of {
		if len(h.recent(list, now)) == 0 {
			delete(h.of, who)
		}
	}
}

// recent drops what has left the window.
func (h *history) recent(list []time.Time, now time.Time) []time.Time {
	for len(list) > 0 && now.Sub(list[0]) > h.window {
		list = list[1:]
	}
	return list
}
