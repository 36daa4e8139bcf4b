package connfsm

import (
	"math"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// prefixLen is the length of a gRPC message's prefix, part of what its stream
// holds but not of Data.Message.
const prefixLen = 5

// hold charges DATA to its stream until the application has read it.
func (m *Machine) hold(sl *slot, f *frame.Data) {
	sl.held += f.Size
	if f.Message != nil {
		n := min(len(f.Message.B)+prefixLen, sl.held-sl.readable)
		sl.readable += n
		m.readable += n
	}
	sl.missing = f.Pending
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
		r := min(n, sl.readable)
		sl.readable -= r
		m.readable -= r
	} else {
		n = min(n, m.owed)
		m.owed -= n
	}
	m.read += n
	m.giveBack(n, fx)
	if m.read >= m.recv.Size() {
		m.read = 0
		m.widen(fx)
	}
}

// giveBack lets the peer send n octets more, except for those it was lent. The
// WINDOW_UPDATE waits until it is worth its frame, or until the peer cannot go
// on without it.
func (m *Machine) giveBack(n int, fx *Effects) {
	if n == 0 {
		return
	}
	if repaid := min(n, m.lent); repaid > 0 {
		m.lent -= repaid
		m.recv.Shrink(repaid)
	}
	update, _ := m.recv.Consume(n)
	m.grant(update, fx)
	if m.recv.Available() == 0 {
		m.relieve(fx)
	}
}

func (m *Machine) grant(n int, fx *Effects) {
	if n > 0 && !m.state.over() {
		fx.Control = append(fx.Control, frame.NewWindowUpdate(0, frame.NoSlot, uint32(n)))
	}
}

// widen doubles the window if there is memory for what the peer may then send.
// The budget is asked, not charged: it is charged for octets that arrive.
func (m *Machine) widen(fx *Effects) bool {
	size := m.recv.Size() - m.lent
	n := min(size, m.cfg.MaxConnWindow-size)
	if n <= 0 || m.cfg.Budget != nil && m.cfg.Budget.Left() < int64(size+n) {
		return false
	}
	m.grant(m.recv.Grow(n), fx)
	return true
}

// relieve looks after a peer that has nothing left to send with. As long as an
// application can read something, that is flow control at work. But if all that
// is held are the beginnings of messages, nobody can ever read: then the window
// grows; or it is lent to the one message that is larger than it; or, of
// several messages, the newest has to go.
func (m *Machine) relieve(fx *Effects) {
	if m.state.over() {
		return
	}
	if update := m.recv.Flush(); update > 0 {
		m.grant(update, fx)
		return
	}
	if m.readable > 0 || m.owed > 0 {
		return
	}
	newest, count := m.partial()
	switch {
	case count == 0 || m.widen(fx):
	case count == 1:
		n := min(m.streams.slots[newest].missing, math.MaxInt32-m.recv.Size())
		m.lent += n
		m.grant(m.recv.Grow(n), fx)
	default:
		m.evict(newest, fx)
	}
}

// partial finds the newest stream with an unfinished message and counts them.
func (m *Machine) partial() (newest frame.SlotIndex, count int) {
	newest = frame.NoSlot
	for i := range m.streams.slots {
		sl := &m.streams.slots[i]
		if sl.missing == 0 || sl.held == 0 {
			continue
		}
		count++
		if newest == frame.NoSlot || sl.id > m.streams.slots[newest].id {
			newest = frame.SlotIndex(i)
		}
	}
	return newest, count
}

// evict fails a stream in favour of older ones. What it holds is of no use to
// anybody, so the others may have it at once.
func (m *Machine) evict(s frame.SlotIndex, fx *Effects) {
	sl := &m.streams.slots[s]
	d := frame.NewData()
	d.StreamID = sl.id
	d.Fault = &frame.Fault{Kind: frame.NoBudget, Got: uint64(sl.held), Limit: uint64(m.recv.Size())}
	fx.Route = append(fx.Route, Route{Slot: s, ID: sl.id, Frame: d})
	m.abandon(sl, fx)
}

// abandon gives back what a stream holds of a message that will never be
// complete. Its actor does not know yet and may credit the same octets: from
// here on its credits count for no more than is left.
func (m *Machine) abandon(sl *slot, fx *Effects) {
	n := sl.held - sl.readable
	sl.held, sl.missing, sl.void = sl.readable, 0, true
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
