package attempt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// walker drives a machine by random and holds it to its promises.
type walker struct {
	r         *rand.Rand
	m         Machine
	fx        Effects
	cfg       Config
	now       time.Time
	live      map[int]bool
	started   map[int]bool
	counted   int
	committed int
	finished  bool
	log       []string
}

func (w *walker) step(ev Event) error {
	w.fx.Reset()
	w.m.Step(ev, w.now, &w.fx)
	w.log = append(w.log, fmt.Sprintf("%v %T%+v: %s", w.now.Sub(start), ev, ev, show(&w.fx)))
	if e, ok := ev.(Ended); ok {
		delete(w.live, e.N)
	}
	if _, ok := ev.(Tick); ok && !w.fx.Wake.IsZero() && !w.fx.Wake.After(w.now) {
		return fmt.Errorf("a tick in time does nothing")
	}
	return w.check()
}

func (w *walker) check() error {
	fx := &w.fx
	if w.finished && (len(fx.Cancel)+len(fx.Start) > 0 || fx.Commit != None || fx.Finish || !fx.Wake.IsZero()) {
		return fmt.Errorf("something follows the end")
	}
	for _, s := range fx.Start {
		if w.committed != None {
			return fmt.Errorf("attempt %d starts after a commit", s.N)
		}
		if w.started[s.N] {
			return fmt.Errorf("attempt %d starts twice", s.N)
		}
		w.started[s.N], w.live[s.N] = true, true
		if !s.Transparent {
			if s.Previous != w.counted {
				return fmt.Errorf("attempt %d says %d came before, but %d did", s.N, s.Previous, w.counted)
			}
			w.counted++
		}
	}
	if limit := w.limit(); w.counted > limit {
		return fmt.Errorf("%d attempts, allowed are %d", w.counted, limit)
	}
	for _, n := range fx.Cancel {
		if !w.live[n] {
			return fmt.Errorf("attempt %d is cancelled and not live", n)
		}
		delete(w.live, n)
	}
	if fx.Commit != None {
		if w.committed != None {
			return fmt.Errorf("committed twice")
		}
		w.committed = fx.Commit
		if !w.live[w.committed] || len(w.live) != 1 {
			return fmt.Errorf("committed to %d with %v live", w.committed, w.live)
		}
	}
	if fx.Finish {
		w.finished = true
		if len(w.live) > 0 {
			return fmt.Errorf("%v live after the end", w.live)
		}
		if fx.Final != None && !w.started[fx.Final] {
			return fmt.Errorf("attempt %d is final and never began", fx.Final)
		}
		if w.committed != None && fx.Final != None && fx.Final != w.committed {
			return fmt.Errorf("committed to %d, ended with %d", w.committed, fx.Final)
		}
	}
	if w.m.state != StateNew && !w.finished && len(w.live) == 0 && fx.Wake.IsZero() {
		return fmt.Errorf("nothing is under way and nothing will be")
	}
	return nil
}

func (w *walker) limit() int {
	limit := w.cfg.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	if w.cfg.Policy == nil {
		return 1
	}
	return min(limit, w.cfg.Policy.Attempts)
}

func (w *walker) any() int {
	if w.r.IntN(10) == 0 || len(w.live) == 0 {
		return w.r.IntN(12) - 1
	}
	for n := range w.live {
		return n
	}
	return None
}

func (w *walker) event() Event {
	cs := []codes.Code{codes.Unavailable, codes.Unavailable, codes.Unavailable, codes.Internal, codes.OK}
	switch w.r.IntN(20) {
	case 0:
		return Full{N: w.any()}
	case 1:
		return Headers{N: w.any()}
	case 2:
		if w.r.IntN(4) == 0 {
			return Cancel{}
		}
		return Headers{N: w.any()}
	case 3, 4, 5, 6, 7, 8:
		if at := w.m.next; !at.IsZero() && w.r.IntN(2) == 0 {
			w.now = at
		}
		return Tick{}
	default:
		ev := Ended{N: w.any(), Code: cs[w.r.IntN(len(cs))]}
		if ev.Code != codes.OK {
			switch w.r.IntN(8) {
			case 0:
				ev.Unsent = true
			case 1:
				ev.Refused = true
			case 2:
				ev.Dropped = true
			case 3:
				ev.Pushback = Pushback{Given: true, Stop: true}
			case 4:
				ev.Pushback = Pushback{Given: true, Delay: time.Duration(w.r.IntN(100)) * ms}
			}
		}
		return ev
	}
}

func TestRandomWalk(t *testing.T) {
	for seed := range uint64(2_000) {
		r := rand.New(rand.NewPCG(seed, 6))
		cfg := Config{Limit: r.IntN(7), Rand: r.Float64}
		switch r.IntN(5) {
		case 0:
		case 1, 2:
			cfg.Policy = retrying(2 + r.IntN(6))
		default:
			cfg.Policy = hedging(2+r.IntN(6), time.Duration(r.IntN(3))*10*ms)
		}
		if r.IntN(3) == 0 {
			cfg.Throttle = NewThrottle(Throttling{MaxTokens: int64(1000 * (1 + r.IntN(10))), TokenRatio: 300})
		}
		w := &walker{
			r: r, m: New(cfg), cfg: cfg, now: start, committed: None,
			live: map[int]bool{}, started: map[int]bool{},
		}
		err := w.step(Begin{})
		for i := 0; i < 200 && err == nil; i++ {
			w.now = w.now.Add(time.Duration(r.IntN(5)) * ms)
			err = w.step(w.event())
			if err == nil && i > 100 && !w.finished && len(w.live) > 0 {
				err = w.step(ended(w.any(), codes.Unavailable))
			}
		}
		if err == nil && !w.finished {
			err = w.step(Cancel{})
		}
		if err == nil && !w.finished {
			err = fmt.Errorf("no end")
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(w.log, "\n"))
		}
	}
}
