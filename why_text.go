package callboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/connectivity"
)

const (
	toldSubchannels = 3   // how many of them an error's text names
	toldError       = 256 // octets of an error that are shown
)

// text puts a Why into words: what ended the RPC, where it was, why it did not
// get further, and what happens next.
func (w *Why) text(ended error, now time.Time) string {
	var b strings.Builder
	if ended != nil {
		fmt.Fprintf(&b, "%v ", ended)
	} else {
		b.WriteString("failed ")
	}
	switch w.Stage {
	case Resolving:
		fmt.Fprintf(&b, "while waiting for a connection of %s: the resolver of %s has no endpoints", w.Path, w.Target)
	case Picking:
		fmt.Fprintf(&b, "while waiting for a connection of %s: the load balancing policy has none to offer", w.Path)
	case Connecting:
		fmt.Fprintf(&b, "while waiting for a connection of %s", w.Path)
	case WaitingForStream:
		fmt.Fprintf(&b, "while waiting for a stream: all streams that %s allows are in use on %s", w.Target, w.Path)
	case SendingBlocked:
		fmt.Fprintf(&b, "while %d octets of the request wait to be sent to %s on %s", w.Queued, w.Target, w.Path)
	case WaitingForResponse:
		fmt.Fprintf(&b, "while waiting for the response of %s on %s", w.Target, w.Path)
	case Retrying:
		fmt.Fprintf(&b, "while waiting for the next attempt at %s", w.Target)
	case Lost:
		fmt.Fprintf(&b, "on %s: the connection to %s is lost", w.Path, w.Target)
	}
	if w.Stage < WaitingForStream {
		w.tellSubchannels(&b, now)
	}
	if w.Cause != nil && !w.told() {
		b.WriteString(", last error: " + shown(w.Cause))
	}
	for i, e := range w.Elapsed {
		b.WriteString([]string{"; ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%v for %v", e.Stage, coarse(e.For))
	}
	return b.String()
}

// told says whether the cause was shown with its subchannel.
func (w *Why) told() bool {
	return w.Stage < WaitingForStream && slices.ContainsFunc(w.Subchannels[:min(len(w.Subchannels), toldSubchannels)],
		func(s SubchannelWhy) bool { return s.LastError != nil && s.LastError.Error() == w.Cause.Error() })
}

func (w *Why) tellSubchannels(b *strings.Builder, now time.Time) {
	for i, s := range w.Subchannels {
		if i == toldSubchannels {
			fmt.Fprintf(b, "; and %d more", len(w.Subchannels)-i)
			return
		}
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		if s.Address != "" {
			b.WriteString(shownText(s.Address) + " ")
		}
		b.WriteString(s.State.String())
		if s.LastError != nil {
			b.WriteString(", last error: " + shown(s.LastError))
		}
		if s.State != connectivity.TransientFailure || s.NextAttempt.IsZero() {
			continue
		}
		if left := coarse(s.NextAttempt.Sub(now)); left > 0 {
			fmt.Fprintf(b, ", next attempt in %v", left)
		} else {
			b.WriteString(", next attempt now")
		}
	}
}

// coarse rounds to what a reader can use.
func coarse(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < time.Second:
		return d.Round(time.Millisecond)
	default:
		return d.Round(10 * time.Millisecond)
	}
}

func shown(err error) string { return shownText(err.Error()) }

// shownText clips and quotes text that others may have written: name servers,
// peers, diallers.
func shownText(s string) string {
	if len(s) > toldError {
		s = s[:toldError] + "..."
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
