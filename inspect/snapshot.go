// Package inspect shows a running system from outside: every actor with its
// state and mailbox, as a tree.
//
// A snapshot never asks an actor anything, because a stuck actor could not
// answer. It reads atomics and published values, so it is cheap, may be taken
// at any time, and shows each actor as of the moment it was looked at.
package inspect

import (
	"strings"
	"time"

	"github.com/callboard-rpc/callboard/actors"
)

// Snapshot is a system at one moment.
type Snapshot struct {
	System string
	At     time.Time
	Roots  []*Node
	Actors int
}

// Node is one actor.
type Node struct {
	Path        string // full name, the actor's id
	Name        string // relative to Parent
	Kind        string // "system", "channel", "conn", "stream", ...
	State       string
	Started     time.Time
	Restarts    int
	Failure     *actors.Failure // the newest panic, or nil
	Mailbox     actors.Counters
	Transitions []actors.Transition
	Detail      any
	Children    []*Node
}

// Take makes a snapshot of the actors in table.
func Take(system string, table *actors.Table) *Snapshot {
	s := &Snapshot{System: system, At: time.Now()}
	seen := map[string]*Node{}
	for _, p := range table.Snapshot() {
		n := nodeOf(p)
		s.Actors++
		seen[n.Path] = n
		up := parentOf(n.Path, seen)
		if up == nil {
			n.Name = n.Path
			s.Roots = append(s.Roots, n)
			continue
		}
		n.Name = n.Path[len(up.Path)+1:]
		up.Children = append(up.Children, n)
	}
	return s
}

// parentOf finds the nearest ancestor, which sorts before its descendants. A
// name may hold slashes of its own (a target does), so not every prefix is one.
func parentOf(path string, seen map[string]*Node) *Node {
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if n := seen[path[:i]]; n != nil {
			return n
		}
	}
	return nil
}

func nodeOf(p *actors.Probe) *Node {
	return &Node{
		Path: p.Path(), Kind: p.Kind(), State: p.State(), Started: p.Started(),
		Restarts: p.Restarts(), Failure: p.LastFailure(),
		Mailbox: p.Mailbox().Counters(), Transitions: p.Transitions(), Detail: p.Detail(),
	}
}

// Walk visits every node, parents first, until yield returns false.
func (s *Snapshot) Walk(yield func(depth int, n *Node) bool) {
	var visit func(depth int, ns []*Node) bool
	visit = func(depth int, ns []*Node) bool {
		for _, n := range ns {
			if !yield(depth, n) || !visit(depth+1, n.Children) {
				return false
			}
		}
		return true
	}
	visit(0, s.Roots)
}

// Find returns the node with the given path, or nil.
func (s *Snapshot) Find(path string) (found *Node) {
	s.Walk(func(_ int, n *Node) bool {
		if n.Path == path {
			found = n
		}
		return found == nil
	})
	return found
}
