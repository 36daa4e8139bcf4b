package outbound

import (
	"bytes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// read lets the peer read one Fill and checks every frame.
func (m *model) read(limit int) {
	var w Writes
	m.q.Fill(&w, limit)
	for _, a := range m.p.read(m.t, &w) {
		m.see(a)
	}
	for _, e := range w.Finished {
		s := m.byID[e.ID]
		if s == nil || s.slot != int(e.Slot) || !s.last {
			m.t.Fatalf("finished %+v", e)
		}
		if s.finished++; s.finished > 1 {
			m.t.Fatalf("stream %d finished twice", e.ID)
		}
		if !bytes.Equal(s.got, s.want) {
			m.t.Fatalf("stream %d finished too early", e.ID)
		}
	}
	if len(w.Rejected) != 0 {
		m.t.Fatalf("rejected %+v", w.Rejected)
	}
	w.Reset()
}

func (m *model) see(a arrival) {
	m.eligible()
	s := m.byID[a.id]
	switch a.kind {
	case "PING":
		m.pings--
		return
	case "SETTINGS":
		m.acknowledged()
		m.eligible()
		return
	case "HEADERS":
		if m.client && len(s.got) == 0 {
			if a.id <= m.opened {
				m.t.Fatalf("stream %d opened after %d", a.id, m.opened)
			}
			m.opened = a.id
		}
		s.got = append(s.got, "H"+a.note[len("x="):]+"."...)
	case "DATA":
		m.sent(s, a)
		s.got = append(s.got, a.data...)
	case "RST_STREAM":
		s.got = append(s.got, 'R')
	default:
		m.t.Fatalf("%v", a)
	}
	if a.end {
		s.got = append(s.got, 'E')
	}
	if !bytes.HasPrefix(s.want, s.got) {
		m.t.Fatalf("stream %d: %v does not follow from what was posted: %.60q, want %.60q", s.id, a, s.got, s.want)
	}
	m.eligible()
}

// sent checks a DATA frame against the windows and against the others' turns.
func (m *model) sent(s *modelStream, a arrival) {
	if a.n == 0 {
		return
	}
	s.window -= int64(a.n)
	m.conn -= int64(a.n)
	if s.window < 0 || m.conn < 0 || a.n > maxData || a.n > int(m.applied.MaxFrameSize) {
		m.t.Fatalf("%v leaves windows of %d and %d", a, s.window, m.conn)
	}
	for _, o := range m.slots {
		if m.eager && o != nil && o != s && s.lastFrame >= 0 && o.eligibleAt >= 0 && max(o.eligibleAt, o.lastFrame) < s.lastFrame {
			m.t.Fatalf("stream %d had two turns, stream %d none (eligible since frame %d, last %d; %d)", s.id, o.id, o.eligibleAt, o.lastFrame, s.lastFrame)
		}
	}
	m.frames++
	s.lastFrame, s.eligibleAt = m.frames, -1
}

// eligible notes which streams may send DATA, and since which frame.
func (m *model) eligible() {
	for _, s := range m.slots {
		if s == nil {
			continue
		}
		next := s.want[min(len(s.got), len(s.want)):]
		can := m.conn > 0 && s.window > 0 && len(next) > 0 && next[0] >= 'a' && next[0] <= 'z'
		if !can {
			s.eligibleAt = -1
		} else if s.eligibleAt < 0 {
			s.eligibleAt = m.frames
		}
	}
}

// acknowledged applies the settings whose ACK went by: the frames before it
// obeyed the old ones, those after it the new.
func (m *model) acknowledged() {
	if len(m.pending) == 0 {
		m.t.Fatalf("an ACK for nothing")
	}
	p := m.pending[0]
	m.pending = m.pending[1:]
	delta := int64(p.InitialWindow) - int64(m.applied.InitialWindow)
	for _, s := range m.slots {
		if s != nil && !bytes.ContainsRune(s.got, 'E') {
			s.window += delta
		}
	}
	m.applied = p
	m.p.fr.SetMaxReadFrameSize(max(p.MaxFrameSize, 1<<20))
	m.p.dec.SetAllowedMaxDynamicTableSize(min(p.HeaderTableSize, frame.DefaultTableSize))
}

// drain opens all windows and lets everything leave.
func (m *model) drain() {
	m.read(0)
	for _, s := range m.slots {
		if s != nil {
			m.step(grant(s.id, frame.SlotIndex(s.slot), 1<<30))
			s.window += 1 << 30
		}
	}
	m.step(grant(0, frame.NoSlot, 1<<30))
	m.conn += 1 << 30
	for m.q.Ready() {
		m.read(10_000)
	}
	for _, s := range m.streams {
		if !bytes.Equal(s.want, s.got) {
			m.t.Fatalf("stream %d: %.60q never followed %.60q", s.id, s.want, s.got)
		}
		if (s.finished == 1) != s.last {
			m.t.Fatalf("stream %d finished %d times", s.id, s.finished)
		}
	}
	if n := m.budget.Used(); n != 0 {
		m.t.Fatalf("%d octets are still charged", n)
	}
	for i, q := range m.quotas {
		if !q.Drained() {
			m.t.Fatalf("quota of slot %d keeps %d", i, q.Queued())
		}
	}
	if m.q.Queued() != 0 {
		m.t.Fatalf("%d octets queued at the end", m.q.Queued())
	}
	m.check(m.t)
}
