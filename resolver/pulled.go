package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/actors"
)

// pulled drives a Source: one look at a time, and a timer for the next.
type pulled struct {
	a      *resolverActor
	from   *polling
	ctx    context.Context // ends with the incarnation
	cancel context.CancelFunc
	timer  *actors.Timer

	src    Source // opened by the first look; the look's while there is one
	last   *Answer
	passed bool // last is what the channel heard of last
	ended  time.Time
	next   time.Time // what the timer is set to; zero: it is not
	fails  int
	busy   bool
	wanted bool // ResolveNow came, and no look has begun since
	final  bool
}

func newPulled(a *resolverActor, from *polling) *pulled {
	p := &pulled{a: a, from: from}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.timer = actors.NewTimer(func(gen uint64) { a.self.Tell(&due{from: p, gen: gen}) })
	return p
}

func (p *pulled) start() { p.look() }

func (p *pulled) close() {
	p.cancel()
	p.timer.Close()
}

// look asks the source. The timer guards against one that does not heed its
// context.
func (p *pulled) look() {
	p.busy, p.wanted = true, false
	p.set(p.from.schedule.timeout() + time.Second)
	ctx, cancel := context.WithTimeout(p.ctx, p.from.schedule.timeout())
	m := &answered{from: p}
	edge(func() {
		defer cancel()
		if p.src == nil {
			if p.src, m.err = p.from.open(p.a.cfg.Target, p.a.cfg.Options); m.err != nil {
				p.src = nil
				return
			}
		}
		m.answer, m.err = p.src.Resolve(ctx)
	}, func() { p.a.self.Tell(m) }, func(v *crash) { p.a.self.Tell(&crashed{from: p, reason: v}) })
}

func (p *pulled) due(gen uint64) {
	switch {
	case !p.timer.Current(gen):
	case !p.busy:
		p.look()
	default:
		// There is no second look while the first one hangs; what it finds in
		// the end is still welcome.
		p.next = time.Time{}
		p.passed = false
		p.a.fail(&Failed{Err: fmt.Errorf("resolver %s: %w", p.from.scheme, errNoAnswer)})
	}
}

var errNoAnswer = errors.New("no answer in time")

// resolveNow makes the next look be as soon as it may. After a failure that is
// backoff's to say.
func (p *pulled) resolveNow() {
	switch {
	case p.final:
	case p.busy:
		p.wanted = true
	case p.fails > 0:
	default:
		p.soon()
	}
}

// soon sets the timer to the least interval from the last look, unless it is
// due before.
func (p *pulled) soon() {
	p.wanted = true
	at := p.ended.Add(p.from.schedule.MinInterval)
	if !p.next.IsZero() && p.next.Before(at) {
		return
	}
	p.set(time.Until(at))
	p.published()
}

func (p *pulled) set(d time.Duration) {
	p.next = time.Now().Add(max(d, 0))
	p.timer.Reset(d)
}

func (p *pulled) published() {
	p.a.status.Next = p.next
	p.a.publish()
}

func (p *pulled) answered(m *answered) {
	p.busy, p.ended = false, time.Now()
	p.timer.Stop()
	p.next = time.Time{}
	if m.err != nil {
		p.passed = false
		d := p.again()
		p.a.fail(&Failed{Err: m.err, Retry: d})
		return
	}
	ans := &m.answer
	p.a.status.Skipped = ans.Skipped
	p.final = ans.Final
	if p.passed && p.last.same(ans) {
		p.a.status.Looks++
		p.a.status.Unchanged++
		p.schedule(p.fails > 0) // what was wrong with it still is
		p.published()
		return
	}
	u := p.update(ans)
	p.last, p.passed = ans, true
	p.schedule(u.defect() != nil)
	p.a.status.Next = p.next
	p.a.update(u)
}

// schedule sets the timer after an answer.
func (p *pulled) schedule(defect bool) {
	if p.final {
		p.fails = 0
		return
	}
	if defect {
		p.again()
		return
	}
	p.fails = 0
	if d := p.from.schedule.poll(rand.Float64()); d > 0 {
		p.set(d)
	}
	if p.wanted {
		p.soon()
	}
}

// again sets the timer after a failure.
func (p *pulled) again() time.Duration {
	p.fails++
	d := actors.GRPCBackoff.Delay(p.fails)
	p.set(d)
	return d
}

func (p *pulled) update(ans *Answer) *Update {
	st := resolver.State{Endpoints: ans.Endpoints, Attributes: ans.Attributes}
	for _, ep := range ans.Endpoints {
		st.Addresses = append(st.Addresses, ep.Addresses...)
	}
	switch {
	case p.a.cfg.Options.DisableServiceConfig:
	case ans.ConfigErr != nil:
		st.ServiceConfig = &serviceconfig.ParseResult{Err: ans.ConfigErr}
	case ans.ServiceConfig != "":
		st.ServiceConfig = parseContained(p.a.cfg.Parse, ans.ServiceConfig)
	}
	return newUpdate(st)
}
