package balancer

import "google.golang.org/grpc/connectivity"

// pickFirst uses one connection to the first address that answers (gRFC A62).
// Its subchannel walks the addresses; the policy turns its states into pickers.
// TRANSIENT_FAILURE is sticky: it stays until READY, so that RPCs fail fast
// while attempts go on. Only IDLE ends it earlier: a supervisor has stopped the
// attempts, and the next RPC has to ask for one.
type pickFirst struct {
	state   connectivity.State
	lastErr error
	known   bool // there are addresses
}

func (p *pickFirst) changed(m *Changed) *Picker {
	if p.state == connectivity.TransientFailure && m.State == connectivity.Connecting {
		return nil
	}
	p.state = m.State
	if m.Err != nil {
		p.lastErr = m.Err
	}
	pk := &Picker{State: m.State}
	switch m.State {
	case connectivity.Ready:
		pk.Conns = []Conn{m.Conn}
		p.lastErr = nil
	case connectivity.TransientFailure:
		pk.Err = p.lastErr
	case connectivity.Idle, connectivity.Connecting, connectivity.Shutdown:
		pk.Err = p.lastErr
	}
	return pk
}

// resolveFailed matters only while there is no address: with one, what comes of
// connecting to it says more, and an RPC that finds the channel idle must still
// make it try.
func (p *pickFirst) resolveFailed(err error) *Picker {
	if p.known {
		return nil
	}
	p.state, p.lastErr = connectivity.TransientFailure, err
	return &Picker{State: p.state, Err: err}
}
