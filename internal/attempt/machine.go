package attempt

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
)

// State says where an RPC is in its life.
type State uint8

// An RPC's states.
const (
	StateNew       State = iota
	StateRunning         // attempts may follow
	StateCommitted       // one attempt is the RPC
	StateDone
)

// String implements fmt.Stringer.
func (s State) String() string {
	switch s {
	case StateNew:
		return "new"
	case StateRunning:
		return "running"
	case StateCommitted:
		return "committed"
	case StateDone:
		return "done"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Config is what an RPC is tried with.
type Config struct {
	Policy   *Policy        // nil: transparent retries only
	Limit    int            // of attempts, whatever Policy says; 0: DefaultLimit
	Throttle *Throttle      // nil: none. What succeeds is the owner's to count: most RPCs need no machine.
	Rand     func() float64 // in [0, 1), for the backoff's jitter
}

// Machine is one RPC. It is not safe for concurrent use.
type Machine struct {
	cfg     Config
	state   State
	live    []Start // attempts under way
	started int     // of any kind: the next N
	counted int     // attempts that are no transparent retries
	refused bool    // one was repeated because a server refused it
	backoff int     // retries since the backoff began
	full    bool    // the next attempt is the RPC: nothing can be replayed after it
	last    bool    // hedging: no further attempt
	worst   int     // hedging: the attempt that failed last
	next    time.Time
}

// New makes an RPC that awaits Begin.
func New(cfg Config) Machine {
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	return Machine{cfg: cfg}
}

// State says where the RPC is in its life.
func (m *Machine) State() State { return m.state }

// Attempts says how many attempts were started that are no transparent
// retries.
func (m *Machine) Attempts() int { return m.counted }

// Step takes one event and says in fx what is to be done. fx is reset by the
// owner. It is total: what means nothing in the RPC's state changes nothing.
func (m *Machine) Step(ev Event, now time.Time, fx *Effects) {
	switch ev := ev.(type) {
	case Begin:
		m.begin(now, fx)
	case Headers:
		if m.state == StateRunning && m.find(ev.N) >= 0 {
			m.commit(ev.N, fx)
		}
	case Ended:
		m.ended(ev, now, fx)
	case Full:
		m.filled(ev.N, fx)
	case Tick:
		m.tick(now, fx)
	case Cancel:
		m.cancel(fx)
	default:
		panic(fmt.Sprintf("attempt: event %T in state %v", ev, m.state))
	}
	fx.Wake = m.next
}

func (m *Machine) begin(now time.Time, fx *Effects) {
	if m.state != StateNew {
		panic("attempt: Begin in state " + m.state.String())
	}
	m.state = StateRunning
	m.start(fx)
	if m.hedges() {
		m.schedule(now, m.cfg.Policy.Delay, fx)
	}
}

// start sends the next attempt that counts.
func (m *Machine) start(fx *Effects) {
	m.launch(Start{Previous: m.counted}, fx)
	m.counted++
}

func (m *Machine) launch(s Start, fx *Effects) {
	s.N = m.started
	m.started++
	m.live = append(m.live, s)
	fx.Start = append(fx.Start, s)
	if m.full {
		m.commit(s.N, fx)
	}
}

// commit makes attempt n the RPC.
func (m *Machine) commit(n int, fx *Effects) {
	m.state = StateCommitted
	m.next = time.Time{}
	fx.Commit = n
	won := m.live[m.find(n)]
	for _, s := range m.live {
		if s.N != n {
			fx.Cancel = append(fx.Cancel, s.N)
		}
	}
	m.live = append(m.live[:0], won)
}

// finish ends the RPC with attempt n, which has ended.
func (m *Machine) finish(n int, fx *Effects) {
	m.state = StateDone
	m.next = time.Time{}
	for _, s := range m.live {
		fx.Cancel = append(fx.Cancel, s.N)
	}
	m.live = m.live[:0]
	fx.Finish, fx.Final = true, n
}

func (m *Machine) cancel(fx *Effects) {
	if m.state != StateDone {
		m.finish(None, fx)
	}
}

// filled commits the RPC because no more of it can be kept. While no attempt is
// under way, the next one is the last.
func (m *Machine) filled(n int, fx *Effects) {
	switch {
	case m.state != StateRunning:
	case m.find(n) >= 0:
		m.commit(n, fx)
	case len(m.live) > 0:
		m.commit(m.live[0].N, fx)
	default:
		m.full = true
	}
}

func (m *Machine) tick(now time.Time, fx *Effects) {
	if m.state != StateRunning || m.next.IsZero() || now.Before(m.next) {
		return
	}
	m.next = time.Time{}
	if m.hedges() {
		m.hedge(now, fx)
		return
	}
	m.start(fx)
}

func (m *Machine) ended(ev Ended, now time.Time, fx *Effects) {
	i := m.find(ev.N)
	if i < 0 {
		return // cancelled meanwhile
	}
	was := m.live[i]
	m.live = append(m.live[:i], m.live[i+1:]...)
	switch {
	case ev.Code == codes.OK, m.state == StateCommitted, ev.Dropped:
		m.finish(ev.N, fx)
	case ev.Unsent, ev.Refused && !m.refused:
		m.refused = m.refused || !ev.Unsent
		m.launch(Start{Previous: was.Previous, Transparent: true}, fx)
	case m.cfg.Policy == nil:
		m.finish(ev.N, fx)
	case m.hedges():
		m.hedgeFailed(ev, now, fx)
	default:
		m.failed(ev, now, fx)
	}
}

// failed looks for the time of the next attempt after one has failed.
func (m *Machine) failed(ev Ended, now time.Time, fx *Effects) {
	p := m.cfg.Policy
	qualified := p.Codes.Has(ev.Code)
	open := true
	if qualified || ev.Pushback.Stop {
		open = m.cfg.Throttle.Failed()
	}
	if !qualified || ev.Pushback.Stop || !open || m.exhausted() {
		m.finish(ev.N, fx)
		return
	}
	var wait time.Duration
	if ev.Pushback.Given {
		wait, m.backoff = ev.Pushback.Delay, 0
	} else {
		wait = p.backoff(m.backoff, m.cfg.Rand())
		m.backoff++
	}
	m.next = now.Add(wait)
}

func (m *Machine) exhausted() bool {
	return m.counted >= min(m.cfg.Policy.Attempts, m.cfg.Limit)
}

func (m *Machine) find(n int) int {
	for i := range m.live {
		if m.live[i].N == n {
			return i
		}
	}
	return -1
}
