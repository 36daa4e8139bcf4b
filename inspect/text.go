package inspect

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// String prints the tree, an actor per line, for terminals and bug reports.
func (s *Snapshot) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "system %s at %s, %d actors\n", s.System, s.At.Format(time.RFC3339), s.Actors)
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "actor\tstate\tup\tqueued\thigh\thandled\toldest\tnow handling")
	s.Walk(func(depth int, n *Node) bool {
		fmt.Fprintln(w, line(depth, n, s.At))
		return true
	})
	_ = w.Flush() // a strings.Builder does not fail
	return b.String()
}

func line(depth int, n *Node, at time.Time) string {
	m := n.Mailbox
	name := strings.Repeat("  ", depth) + n.Name
	oldest, current := "-", "-"
	if m.Depth > 0 {
		oldest = m.OldestAge.Round(time.Millisecond).String()
	}
	if m.Current != "" {
		current = m.Current
	}
	state := n.State
	if n.Restarts > 0 {
		state += fmt.Sprintf(" (%d restarts)", n.Restarts)
	}
	return fmt.Sprintf("%s\t%s\t%v\t%d\t%d\t%d\t%s\t%s",
		name, state, at.Sub(n.Started).Round(time.Second), m.Depth, m.HighWater, m.Processed, oldest, current)
}
