package attempt

import "time"

func (m *Machine) hedges() bool { return m.cfg.Policy != nil && m.cfg.Policy.Hedging }

// schedule sets the time of the next hedge. Without a delay it is now, and so
// are those after it.
func (m *Machine) schedule(now time.Time, wait time.Duration, fx *Effects) {
	for wait == 0 && m.mayHedge() {
		m.start(fx)
		wait = m.cfg.Policy.Delay
	}
	m.next = time.Time{}
	if m.mayHedge() {
		m.next = now.Add(wait)
	}
}

// mayHedge says whether another hedge can follow. One that the throttle stops
// is not sent later, nor are those after it: it would only be waited for.
func (m *Machine) mayHedge() bool {
	m.last = m.last || m.exhausted() || !m.cfg.Throttle.Open()
	return m.state == StateRunning && !m.last
}

// hedge sends the hedge whose time has come, and sets the time of the next.
func (m *Machine) hedge(now time.Time, fx *Effects) {
	m.schedule(now, 0, fx)
	if len(m.live) == 0 && m.next.IsZero() {
		m.finish(m.worst, fx)
	}
}

// hedgeFailed goes on after one of the attempts has failed. What is not fatal
// brings the next hedge forward; a fatal code is the RPC's.
func (m *Machine) hedgeFailed(ev Ended, now time.Time, fx *Effects) {
	fatal := !m.cfg.Policy.Codes.Has(ev.Code)
	if !fatal || ev.Pushback.Stop {
		m.cfg.Throttle.Failed()
	}
	m.worst = ev.N
	switch {
	case fatal:
		m.finish(ev.N, fx)
		return
	case ev.Pushback.Stop:
		m.last, m.next = true, time.Time{}
	default:
		m.schedule(now, ev.Pushback.Delay, fx)
	}
	if len(m.live) == 0 && m.next.IsZero() {
		m.finish(ev.N, fx)
	}
}
