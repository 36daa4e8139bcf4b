package actors

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// tableShards spreads the lock: a snapshot of many actors holds up only the
// spawns of one shard at a time.
const tableShards = 16

// Table lists the living actors. protoactor's own registry takes 17 ms to walk
// when it is empty. The zero Table is ready.
type Table struct {
	shards  [tableShards]shard
	spawned atomic.Uint64
	live    atomic.Int64
	dead    atomic.Uint64

	observer atomic.Pointer[Observer]
	specs    sync.Map // by kind
}

// Spec is the Spec that the table's actors of a kind share. The first caller's
// spec says what it is like; it runs without lock and may run in vain. Without a
// table each caller gets its own.
func (t *Table) Spec(kind string, spec func() *Spec) *Spec {
	if t == nil {
		return spec()
	}
	if s, ok := t.specs.Load(kind); ok {
		return s.(*Spec)
	}
	s, _ := t.specs.LoadOrStore(kind, spec())
	return s.(*Spec)
}

// Observer is told of what the actors of a table go through: each transition
// that is recorded, with what its actor says beside it, or nil; what an actor
// publishes without a transition, then only t.At is set; and, as detail, a
// *[Failure] for every panic and [Restarted] for every restart. It is called on
// the actor's turn, by many actors at once, so it must neither block nor panic.
type Observer func(p *Probe, t Transition, detail any)

// Observe makes o the table's observer; nil ends it. A transition that is under
// way may still reach the one before.
func (t *Table) Observe(o Observer) {
	if o == nil {
		t.observer.Store(nil)
		return
	}
	t.observer.Store(&o)
}

// Restarted is the detail of an actor's restart.
type Restarted struct{ Incarnation int } // the new one; the first was 0

// shard is an intrusive list: an actor adds and removes itself without
// allocation.
type shard struct {
	mu   sync.Mutex
	head *Probe
}

// Add lists an actor. Spawn does it for actors whose Spec names the table.
func (t *Table) Add(p *Probe) {
	p.shard = uint32(t.spawned.Add(1) % tableShards)
	t.live.Add(1)
	s := &t.shards[p.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	p.before, p.after = nil, s.head
	if s.head != nil {
		s.head.before = p
	}
	s.head = p
}

// Remove takes an actor off the list it was added to.
func (t *Table) Remove(p *Probe) {
	s := &t.shards[p.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p.before != nil:
		p.before.after = p.after
	case s.head == p:
		s.head = p.after
	default:
		return
	}
	if p.after != nil {
		p.after.before = p.before
	}
	p.before, p.after = nil, nil
	t.live.Add(-1)
}

// Len is the number of living actors.
func (t *Table) Len() int { return int(t.live.Load()) }

// Spawned counts every actor that was ever listed.
func (t *Table) Spawned() uint64 { return t.spawned.Load() }

// DeadLetters counts those of all actors ever listed.
func (t *Table) DeadLetters() uint64 { return t.dead.Load() }

// Snapshot lists the living actors by path.
func (t *Table) Snapshot() []*Probe {
	list := make([]*Probe, 0, t.Len())
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for p := s.head; p != nil; p = p.after {
			list = append(list, p)
		}
		s.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b *Probe) int { return cmp.Compare(a.Path(), b.Path()) })
	return list
}

// Find looks an actor up by path; nil if none lives there.
func (t *Table) Find(path string) *Probe {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for p := s.head; p != nil; p = p.after {
			if p.Path() == path {
				s.mu.Unlock()
				return p
			}
		}
		s.mu.Unlock()
	}
	return nil
}
