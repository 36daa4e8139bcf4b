package connfsm

// lowFraction is the part of the connection's receive window below which it
// runs low.
const lowFraction = 4

// WindowLow says that less than a quarter of the connection's receive window
// is open to the peer.
func (m *Machine) WindowLow() bool {
	return m.recv.Available() < (m.recv.Size()-m.lent)/lowFraction
}

// Starving says whether streams wait for growth: then it matters to hear what
// others return.
func (m *Machine) Starving() bool { return len(m.line.queue) > 0 }
