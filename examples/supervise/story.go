package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard"
)

// story is the events that are worth a line.
type story chan line

type line struct {
	ev   callboard.Event
	text string
}

func (l line) String() string { return l.text }

// tell is the subscriber. It blocks when nobody reads: then the subscription
// drops what it cannot keep, and says so.
func (s story) tell(ev callboard.Event) {
	if text := describe(ev); text != "" {
		s <- line{ev: ev, text: text}
	}
}

func describe(ev callboard.Event) string {
	switch ev := ev.(type) {
	case callboard.ChannelState:
		return fmt.Sprintf("the channel is %v", ev.To)
	case callboard.ConnectionUp:
		return fmt.Sprintf("connection %d is up", ev.Epoch)
	case callboard.ConnectionDown:
		if ev.Kind == 0 {
			return fmt.Sprintf("connection %d is closed", ev.Epoch)
		}
		return fmt.Sprintf("connection %d is down: %v", ev.Epoch, ev.Kind)
	case callboard.GoAwayReceived:
		return fmt.Sprintf("connection %d: the server says GOAWAY %v %q", ev.Epoch, ev.Code, ev.Debug)
	case callboard.SupervisionDecision:
		return fmt.Sprintf("%v (%d in a row): %v", ev.Failure.Kind, ev.Failure.Count, ev.Directive)
	case callboard.Dropped:
		return fmt.Sprintf("%d events are missing here", ev.N)
	}
	return ""
}

// until prints the story up to the event that is waited for.
func (s story) until(ctx context.Context, found func(callboard.Event) bool) error {
	for {
		select {
		case l := <-s:
			fmt.Println("  ", l)
			if found(l.ev) {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("the story hangs: %w", ctx.Err())
		}
	}
}

func channelIs(ev callboard.Event, st connectivity.State) bool {
	c, ok := ev.(callboard.ChannelState)
	return ok && c.To == st
}
