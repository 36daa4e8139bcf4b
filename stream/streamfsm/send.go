package streamfsm

// send puts a message on the wire, and END_STREAM. What the application sends
// when its direction is over (it half-closed, or the stream ended meanwhile)
// is dropped: the other direction knows why.
func (m *Machine) send(ev *Send, fx *Effects) {
	if m.application(ev.StreamID, ev) || !m.sending() {
		if ev.Payload != nil {
			ev.Payload.Release()
		}
		return
	}
	if m.cfg.Role == Server && ev.EndStream {
		panic(m.wrong(ev)) // a response ends with trailers
	}
	if ev.Payload == nil && !ev.EndStream {
		return
	}
	o := m.emit(fx)
	if m.cfg.Role == Server && !m.sentHead {
		o.Header = m.plainHeader()
	}
	o.Payload, o.EndStream = ev.Payload, ev.EndStream
	if ev.Payload != nil {
		m.out++
	}
	if ev.EndStream {
		m.become(m.state.afterSent(), "Send", fx)
	}
}

// sending says that we may send DATA.
func (m *Machine) sending() bool {
	return m.state == StateOpen || m.state == StateHalfClosedRemote
}
