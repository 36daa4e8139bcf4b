package policy

import (
	"time"

	"google.golang.org/grpc/connectivity"
)

// This file is pick_first's pass over its addresses (RFC 8305 section 5, gRFC
// A61) and what follows when it was in vain.

// pass begins a pass at the first address. Attempts that are running count.
func (p *pickFirst) pass(now time.Time, fx *Effects) {
	p.passing, p.at, p.failed, p.failures = true, 0, 0, 0
	for _, a := range p.list {
		a.failed, a.stopped = false, false
	}
	p.begin(now, fx)
}

// begin begins the attempt at list[at], or at the first after it that is not in
// backoff.
func (p *pickFirst) begin(now time.Time, fx *Effects) {
	for p.next = (time.Time{}); p.at < len(p.list); p.at++ {
		a := p.list[p.at]
		if a.state == connectivity.TransientFailure || a.failed {
			p.fail(a)
			continue
		}
		if a.sub == nil {
			p.create(a, fx)
		}
		if a.state == connectivity.Idle {
			fx.Connect = append(fx.Connect, a.sub)
		}
		if p.at+1 < len(p.list) {
			p.next = now.Add(attemptDelay)
			fx.WakeAt(p.next)
		}
		return
	}
	p.inVain(fx)
}

func (p *pickFirst) create(a *address, fx *Effects) {
	a.sub, a.state = fx.NewSubchannel(a.Address), connectivity.Idle
	fx.Create[len(fx.Create)-1].NoHealth = p.noHealth
	if p.bySub == nil {
		p.bySub = map[*Subchannel]*address{}
	}
	p.bySub[a.sub] = a
}

// tick begins the next attempt if it is time.
func (p *pickFirst) tick(now time.Time, fx *Effects) {
	switch {
	case !p.passing || p.next.IsZero():
	case now.Before(p.next):
		fx.WakeAt(p.next)
	default:
		p.at++
		p.begin(now, fx)
	}
}

func (p *pickFirst) fail(a *address) {
	if !a.failed {
		a.failed = true
		p.failed++
	}
}

// attemptFailed: a is in TRANSIENT_FAILURE.
func (p *pickFirst) attemptFailed(a *address, now time.Time, fx *Effects) {
	if p.passing {
		p.proceed(a, now, fx)
		return
	}
	// A round of failures is worth a new error, and a look at the names.
	if p.failures++; p.state.Connectivity == connectivity.TransientFailure && p.failures >= p.trying() {
		p.inVain(fx)
	}
}

// attemptsStopped: a is IDLE, not by its own doing, and stays so until a pass.
func (p *pickFirst) attemptsStopped(a *address, now time.Time, fx *Effects) {
	a.stopped = true
	switch {
	case p.passing:
		p.proceed(a, now, fx)
	case p.state.Connectivity == connectivity.TransientFailure && p.trying() == 0:
		p.become(connectivity.Idle, nil, fx)
	}
}

// proceed continues the pass after a failure of a: with the next address if a
// was begun last. Otherwise the attempts that run go on.
func (p *pickFirst) proceed(a *address, now time.Time, fx *Effects) {
	p.fail(a)
	if p.at < len(p.list) && p.list[p.at] == a {
		p.at++
		p.begin(now, fx)
		return
	}
	p.inVain(fx)
}

// inVain ends the pass if every address has failed. From then on each tries
// again as soon as its backoff allows.
func (p *pickFirst) inVain(fx *Effects) {
	if p.passing && p.failed < len(p.list) {
		return
	}
	p.failures, p.next = 0, time.Time{}
	if p.trying() == 0 {
		p.passing = false
		p.become(connectivity.Idle, nil, fx)
		return
	}
	p.become(connectivity.TransientFailure, Failing{p.attemptsError()}, fx)
	fx.Resolve = true
	if !p.passing {
		return
	}
	p.passing = false
	for _, a := range p.list {
		if a.sub != nil && a.state == connectivity.Idle && !a.stopped {
			fx.Connect = append(fx.Connect, a.sub)
		}
	}
}

// trying counts the subchannels whose attempts go on by themselves.
func (p *pickFirst) trying() (n int) {
	for _, a := range p.list {
		if a.sub != nil && !a.stopped {
			n++
		}
	}
	return n
}
