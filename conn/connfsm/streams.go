package connfsm

import "github.com/callboard-rpc/callboard/codec/frame"

// begin makes a stream live.
func (m *Machine) begin(id frame.StreamID, fx *Effects) frame.SlotIndex {
	s := m.streams.take(id)
	if m.streams.live == 1 {
		m.wakeKeepalive(fx)
	}
	return s
}

// full says that the peer has as many streams as we announced.
func (m *Machine) full() bool {
	live, most := m.streams.live, int(m.cfg.MaxConcurrentStreams)
	if live >= most && m.leaving != nil {
		live -= m.leaving.Leaving()
	}
	return live >= most
}

// done ends a stream's life and lets what waited for its place go on.
func (m *Machine) done(ev *Done, fx *Effects) {
	sl := m.streams.at(ev.Slot, ev.ID)
	if ev.Owed < 0 || ev.Owed > sl.held && !sl.void {
		panic("connfsm: stream " + ev.ID.String() + " owes more than it was given")
	}
	owed := min(ev.Owed, sl.held)
	back := sl.held - owed
	m.readables(sl, -sl.readable)
	m.owed += owed
	m.repay()
	m.streams.past.remember(ev.ID, sl.fate())
	m.streams.release(ev.Slot)
	m.leaveLine(ev.ID)
	if m.streams.live == 0 {
		m.idleSince = m.now
		m.wantIdle(fx)
	}
	m.giveBack(back, fx)
	switch m.state {
	case StateReady:
		m.unpark(fx)
	case StateDraining:
		m.finishDrain(fx)
	default:
	}
}

func (sl *slot) fate() fate {
	switch {
	case sl.reset:
		return fateReset
	case sl.ended:
		return fateEnded
	default:
		return fateAbandoned
	}
}

// open answers an Open now, or parks it.
func (m *Machine) open(ref any, fx *Effects) {
	if m.cfg.Role == Server {
		panic("connfsm: Open on a server")
	}
	switch m.state {
	case StateIdle, StateHandshake:
		m.parked.park(ref)
	case StateReady:
		if m.parked.len() > 0 || !m.room() {
			m.parked.park(ref)
			return
		}
		m.opened(ref, fx)
	case StateDraining, StateClosing, StateClosed:
		m.refuse(ref, fx)
	}
}

// room says that the peer's MAX_CONCURRENT_STREAMS lets us open a stream
// (RFC 9113 5.1.2).
func (m *Machine) room() bool { return int64(m.streams.live) < int64(m.peer.maxStreams) }

// unpark opens streams for those that wait, first come first served.
func (m *Machine) unpark(fx *Effects) {
	for m.state == StateReady && m.parked.len() > 0 && m.room() {
		m.opened(m.parked.next(), fx)
	}
}

// opened gives out the next id. With the last one the connection drains: ids
// cannot be used again (RFC 9113 5.1.1).
func (m *Machine) opened(ref any, fx *Effects) {
	id := m.next
	m.next += 2
	s := m.begin(id, fx)
	fx.Opened = append(fx.Opened, Opened{Ref: ref, Slot: s, ID: id})
	if m.next > m.cfg.LastID {
		m.stopOpening("stream ids used up", fx)
	}
}

func (m *Machine) refuse(ref any, fx *Effects) {
	fx.Refused = append(fx.Refused, Refused{Ref: ref, Reason: m.whyNot()})
}

func (m *Machine) refuseParked(fx *Effects) {
	for m.parked.len() > 0 {
		m.refuse(m.parked.next(), fx)
	}
}
