package demo

import (
	"fmt"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/inspect"
)

// shownStreams is how many streams of a connection are printed one by one.
const shownStreams = 2

// fold makes one line of a connection's further streams: their slots are alike
// and there are as many as there were RPCs at once.
func fold(s *inspect.Snapshot) *inspect.Snapshot {
	out := *s
	out.Roots = foldAll(s.Roots)
	return &out
}

func foldAll(ns []*inspect.Node) []*inspect.Node {
	var kept []*inspect.Node
	var more []*inspect.Node
	streams := 0
	for _, n := range ns {
		if n.Kind != "stream" {
			c := *n
			c.Children = foldAll(n.Children)
			kept = append(kept, &c)
			continue
		}
		if streams++; streams <= shownStreams {
			kept = append(kept, n)
			continue
		}
		more = append(more, n)
	}
	if len(more) > 0 {
		kept = append(kept, foldStreams(more))
	}
	return kept
}

func foldStreams(ns []*inspect.Node) *inspect.Node {
	all := *ns[0]
	all.Mailbox = actors.Counters{}
	busy := 0
	for _, n := range ns {
		all.Mailbox = sum(all.Mailbox, n.Mailbox)
		if serves(n) {
			busy++
		}
		if n.Started.Before(all.Started) {
			all.Started = n.Started
		}
	}
	all.Name = fmt.Sprintf("stream-... (%d more)", len(ns))
	all.State = fmt.Sprintf("%d in use", busy)
	return &all
}

// serves says whether a stream's slot has an RPC.
func serves(n *inspect.Node) bool { return n.State != "closed" && n.State != "idle" && n.State != "" }

// sum adds what is counted and takes the worst of what is not.
func sum(a, b actors.Counters) actors.Counters {
	a.Depth += b.Depth
	a.Bytes += b.Bytes
	a.HighWater = max(a.HighWater, b.HighWater)
	a.Posted += b.Posted
	a.Processed += b.Processed
	a.DeadLettered += b.DeadLettered
	a.OldestAge = max(a.OldestAge, b.OldestAge)
	a.Busy += b.Busy
	if a.Current == "" {
		a.Current = b.Current
	}
	return a
}
