package connfsm

import "github.com/callboard-rpc/callboard/codec/frame"

// prefixLen is the length of a gRPC message's prefix, part of what its stream
// holds but not of Data.Message.
const prefixLen = 5

// hold charges DATA to its stream until the application has read it.
func (m *Machine) hold(sl *slot, f *frame.Data) {
	sl.held += f.Size
	if f.Message != nil {
		m.readables(sl, min(len(f.Message.B)+prefixLen, sl.held-sl.readable))
	}
}

// readables counts n octets more of whole messages that a stream holds.
func (m *Machine) readables(sl *slot, n int) {
	m.readable += n
	m.bare -= min(sl.readable, int(m.cfg.InitialWindow))
	sl.readable += n
	m.bare += min(sl.readable, int(m.cfg.InitialWindow))
}

// credit gives back what an application has read.
func (m *Machine) credit(ev *Credit, fx *Effects) {
	if ev.N < 0 {
		panic("connfsm: a negative credit for stream " + ev.ID.String())
	}
	n := ev.N
	if s := m.streams.find(ev.ID); s != frame.NoSlot {
		sl := &m.streams.slots[s]
		if n > sl.held && !sl.void {
			panic("connfsm: stream " + ev.ID.String() + " read more than it was given")
		}
		n = min(n, sl.held)
		sl.held -= n
		m.readables(sl, -min(n, sl.readable))
	} else {
		n = min(n, m.owed)
		m.owed -= n
	}
	m.read += n
	m.repay()
	m.giveBack(n, fx)
	if m.read >= m.recv.Size()-m.lent {
		m.read = 0
		m.grant(m.recv.Grow(m.wider()), fx)
	}
}

// giveBack lets the peer send n octets more, except for those it was lent for
// messages that are complete now. The WINDOW_UPDATE waits until it is worth its
// frame.
func (m *Machine) giveBack(n int, fx *Effects) {
	if n == 0 {
		return
	}
	if repaid := min(n, m.lent-(m.partial()-n)); repaid > 0 {
		m.lent -= repaid
		m.recv.Shrink(repaid)
	}
	update, _ := m.recv.Consume(n)
	m.grant(update, fx)
	m.relieve(fx)
}

func (m *Machine) grant(n int, fx *Effects) {
	if n > 0 && !m.state.over() {
		fx.Control = append(fx.Control, frame.NewWindowUpdate(0, frame.NoSlot, uint32(n)))
	}
}

// wider is by how much the window may grow: it doubles if there is memory for
// what the peer may then send. The budget is asked, not charged: it is charged
// for messages that arrive.
func (m *Machine) wider() int {
	size := m.recv.Size() - m.lent
	n := min(size, m.cfg.MaxConnWindow-size)
	if n <= 0 || m.budget != nil && m.budget.Left()+int64(m.charged) < int64(size+n) {
		return 0
	}
	return n
}

// relieve looks after a peer that has little left to send with. The beginnings
// of messages do not count against the window: nobody can read them, and what
// bounds them is the windows of their streams. So the peer is lent what they
// take, and the window only bounds what waits to be read. If it is used up by
// that, it grows as long as there is memory for it; beyond, it is flow control
// at work.
func (m *Machine) relieve(fx *Effects) {
	size, available := m.recv.Size()-m.lent, m.recv.Available()
	if available >= size/lowFraction || m.state.over() {
		return
	}
	loan := max(min(m.partial()-m.lent, m.most()-m.recv.Size()), 0)
	due := m.recv.Size() + loan - m.recv.Held() - available
	growth := 0
	if due < size/lowFraction {
		if available > 0 {
			return
		}
		growth = m.wider() // streams that are read slowly shall not stop the others
	}
	if due+growth > 0 {
		m.lent += loan
		m.grant(m.recv.Grow(loan+growth), fx)
	}
}

// partial is how many octets are held of messages that are not complete.
func (m *Machine) partial() int { return m.recv.Held() - m.unread() }

// most is how large the window may ever be: every stream has its own window,
// and what these have grown by has been admitted.
func (m *Machine) most() int {
	growth := int64(frame.MaxWindow)
	if g := m.growth; g != nil {
		growth = min(max(g.Limit(), g.Used()), frame.MaxWindow)
	}
	n := int64(m.streams.live)*int64(m.cfg.InitialWindow) + growth + int64(m.owed)
	return int(min(n, frame.MaxWindow))
}

// abandon gives back what a stream holds of a message that will never be
// complete. Its actor does not know yet and may credit the same octets: from
// here on its credits count for no more than is left.
func (m *Machine) abandon(sl *slot, fx *Effects) {
	n := sl.held - sl.readable
	sl.held, sl.void = sl.readable, true
	m.leaveLine(sl.id)
	m.giveBack(n, fx)
}

// windowUpdate passes the peer's grant on to loopy, which owns the send
// windows.
func (m *Machine) windowUpdate(f *frame.WindowUpdate, fx *Effects) *frame.ConnError {
	if f.StreamID == 0 {
		f.Slot = frame.NoSlot
	} else {
		f.Slot = m.streams.find(f.StreamID)
		if f.Slot == frame.NoSlot && m.fateOf(f.StreamID) == fateIdle {
			return idle("WINDOW_UPDATE", f.StreamID)
		}
	}
	if m.wire.updates == 0 {
		if breach := m.glitch(GlitchWindowUpdate); breach != nil {
			return breach
		}
	} else {
		m.wire.updates--
	}
	if f.Slot == frame.NoSlot && f.StreamID != 0 {
		fx.Free = append(fx.Free, f)
		return nil
	}
	fx.Windows = append(fx.Windows, f)
	return nil
}
