package connfsm

// WindowLow says that less than a quarter of the connection's receive window
// is open to the peer.
func (m *Machine) WindowLow() bool { return m.recv.Available() < m.recv.Size()/4 }
