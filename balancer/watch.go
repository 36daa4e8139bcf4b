package balancer

import (
	"context"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/balancer/policy"
)

// watch is what a subchannel has running beside its connection: the health check
// of a service (gRFC A17) and the stream of load reports (gRFC A51). Both belong
// to the first of its connections and end with it.
type watch struct {
	service  *string // nil: no health check
	listen   bool    // the check's reports are a hosted policy's
	n        int     // tells this check's reports from older ones
	stop     context.CancelFunc
	interval time.Duration // of load reports; 0: none
	stopLoad context.CancelFunc
}

// checks says whether a health check decides about READY.
func (s *subchannel) checks() bool {
	return s.watch.service != nil && !s.watch.listen && s.cfg.Health != nil
}

// startWatch begins what is to run on the first connection.
func (s *subchannel) startWatch() {
	s.unwatch()
	s.startHealth()
	s.startLoads()
}

// startHealth begins the check. Edge: it waits for the server, so it has a
// goroutine; it posts what it hears and ends with its context.
func (s *subchannel) startHealth() {
	w := &s.watch
	w.n++
	if len(s.up) == 0 {
		return
	}
	if w.service == nil || s.cfg.Health == nil {
		if w.listen { // whoever listens hears that there is nothing to hear
			s.balancer.Tell(&Healthy{Subchannel: s.id, State: connectivity.Ready})
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	n, self, f, c, service := w.n, s.self, s.cfg.Health, s.up[0], *w.service
	go f(ctx, c, service, func(st connectivity.State, err error) {
		self.Tell(&health{watch: n, state: st, err: err})
	})
}

// startLoads begins the load reports. Edge: as the health check.
func (s *subchannel) startLoads() {
	w := &s.watch
	if len(s.up) == 0 || w.interval <= 0 || s.cfg.Loads == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stopLoad = cancel
	id, to, f, c, every := s.id, s.balancer, s.cfg.Loads, s.up[0], w.interval
	go f(ctx, c, every, func(l *policy.Load) { to.Tell(&Loaded{Subchannel: id, Report: l}) })
}

func (s *subchannel) unwatch() {
	s.stopHealth()
	s.stopLoads()
}

func (s *subchannel) stopHealth() {
	w := &s.watch
	w.n++
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

func (s *subchannel) stopLoads() {
	if w := &s.watch; w.stopLoad != nil {
		w.stopLoad()
		w.stopLoad = nil
	}
}

// healthReport turns what the service says of itself into the subchannel's state.
func (s *subchannel) healthReport(m *health) {
	if m.watch != s.watch.n || len(s.up) == 0 {
		return
	}
	if s.watch.listen {
		s.balancer.Tell(&Healthy{Subchannel: s.id, State: m.state, Err: m.err})
		return
	}
	if m.state == s.state && m.state != connectivity.TransientFailure {
		return
	}
	switch m.state {
	case connectivity.Ready:
		s.become(m.state, nil)
		s.rescaleHealthy()
	case connectivity.Connecting:
		s.become(m.state, nil)
	case connectivity.TransientFailure:
		s.become(m.state, m.err)
	case connectivity.Idle, connectivity.Shutdown:
	}
}

// watchAnother changes what is watched. A subchannel that is up without a check
// stays READY until the new one has said otherwise.
func (s *subchannel) watchAnother(m *Watch) {
	w := &s.watch
	if sameService(w.service, m.Service) && w.listen == m.Listen && !m.Listen {
		return
	}
	s.stopHealth()
	w.service, w.listen = m.Service, m.Listen
	s.startHealth()
	if len(s.up) > 0 && !s.checks() && s.state != connectivity.Ready {
		s.become(connectivity.Ready, nil)
	}
}

func (s *subchannel) loadsEvery(d time.Duration) {
	if s.watch.interval == d {
		return
	}
	s.stopLoads()
	s.watch.interval = d
	s.startLoads()
}
