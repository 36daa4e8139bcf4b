package balancer

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/callboard-rpc/callboard/balancer/policy"
	"github.com/callboard-rpc/callboard/conn"
)

// restless asks for anything at any time, and holds the balancer to its promises.
type restless struct {
	testing.TB
	r     *rand.Rand
	subs  []*policy.Subchannel // not removed
	state map[*policy.Subchannel]connectivity.State
	gone  map[*policy.Subchannel]bool
	first map[*policy.Subchannel]bool // the first Changed has come
	wake  time.Time
	ended bool
}

// follows says which states a subchannel may go to.
var follows = map[connectivity.State][]connectivity.State{
	connectivity.Idle:             {connectivity.Idle, connectivity.Connecting, connectivity.Shutdown},
	connectivity.Connecting:       {connectivity.Ready, connectivity.TransientFailure, connectivity.Idle, connectivity.Shutdown},
	connectivity.Ready:            {connectivity.Idle, connectivity.TransientFailure, connectivity.Shutdown},
	connectivity.TransientFailure: {connectivity.Idle, connectivity.Shutdown},
}

func (p *restless) Step(ev policy.Event, now time.Time, fx *policy.Effects) {
	if p.ended {
		p.Errorf("%T after Close", ev)
	}
	if !p.wake.IsZero() && now.After(p.wake.Add(time.Millisecond)) {
		p.Errorf("%T at %v, but no Tick at %v", ev, now, p.wake)
	}
	switch ev := ev.(type) {
	case *policy.Changed:
		p.changed(ev)
	case *policy.Tick:
		if now.Before(p.wake) {
			p.Errorf("a Tick at %v, %v was asked for", now, p.wake)
		}
		p.wake = time.Time{}
	case *policy.Close:
		p.ended = true
		fx.Remove = append(fx.Remove, p.subs...)
		return
	default:
	}
	for range p.r.IntN(4) {
		p.act(now, fx)
	}
}

func (p *restless) changed(ev *policy.Changed) {
	s := ev.Subchannel
	was := p.state[s]
	switch {
	case p.gone[s] && ev.State != connectivity.Shutdown:
		p.Errorf("subchannel %d is %v after its removal", s.ID, ev.State)
	case was == connectivity.Shutdown:
		p.Errorf("subchannel %d is %v after SHUTDOWN", s.ID, ev.State)
	case !p.first[s] && ev.State != connectivity.Idle && !p.gone[s]:
		p.Errorf("subchannel %d begins %v", s.ID, ev.State)
	case !slices.Contains(follows[was], ev.State):
		p.Errorf("subchannel %d: %v after %v", s.ID, ev.State, was)
	}
	if ev.State == connectivity.TransientFailure && ev.Err == nil {
		p.Errorf("subchannel %d fails without an error", s.ID)
	}
	p.state[s], p.first[s] = ev.State, true
}

func (p *restless) act(now time.Time, fx *policy.Effects) {
	switch p.r.IntN(8) {
	case 0, 1:
		if len(p.subs) < 20 {
			addr := resolverAddress(string(rune('a' + p.r.IntN(4))))
			p.subs = append(p.subs, fx.NewSubchannel(addr))
		}
	case 2, 3:
		if s := p.any(); s != nil {
			fx.Connect = append(fx.Connect, s)
		}
	case 4:
		if s := p.any(); s != nil {
			p.subs = slices.DeleteFunc(p.subs, func(o *policy.Subchannel) bool { return o == s })
			p.gone[s] = true
			fx.Remove = append(fx.Remove, s)
		}
	case 5:
		if s := p.any(); s != nil {
			fx.SetState(connectivity.State(p.r.IntN(4)), always{policy.Pick{Subchannel: s}})
		}
	case 6:
		at := now.Add(time.Duration(p.r.IntN(10)) * time.Second)
		fx.WakeAt(at)
		if p.wake.IsZero() || at.Before(p.wake) {
			p.wake = at // the earliest counts
		}
	case 7:
		fx.Resolve = p.r.IntN(2) == 0
	}
}

func (p *restless) any() *policy.Subchannel {
	if len(p.subs) == 0 {
		return nil
	}
	return p.subs[p.r.IntN(len(p.subs))]
}

// Whatever policies ask for, servers do and supervisors decide, the balancer
// keeps the contract, and nothing is left of it in the end.
func TestRandomEffects(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.Itoa(int(seed)), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			p := &restless{
				TB: t, r: rand.New(rand.NewPCG(seed, 2)), state: map[*policy.Subchannel]connectivity.State{},
				gone: map[*policy.Subchannel]bool{}, first: map[*policy.Subchannel]bool{},
			}
			balancerTest(t, map[string]string{"a": "up", "b": "up", "c": "refused", "d": "hangs"}, withPolicy(p), func(w *world) {
				for range 60 {
					disturb(w, r)
					time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
					if w.picker0() != nil {
						if _, ok, err := pick(w.picker()); ok && err != nil {
							t.Errorf("picked, and failed: %v", err)
						}
					}
				}
			})
		})
	}
}

// disturb lets something happen.
func disturb(w *world, r *rand.Rand) {
	switch r.IntN(8) {
	case 0:
		w.connect()
	case 1:
		w.bal.Tell(&ResetBackoff{})
	case 2:
		w.set(string(rune('a'+r.IntN(4))), []string{"up", "refused", "hangs", "silent"}[r.IntN(4)])
	case 3:
		w.answer(conn.Directive{Decision: conn.Decision(r.IntN(5)), After: time.Duration(r.IntN(5)) * time.Second})
	case 4, 5:
		w.mu.Lock()
		if n := len(w.servers); n > 0 {
			_ = w.servers[r.IntN(n)].nc.Close()
		}
		w.mu.Unlock()
	default:
		w.offer("a", "b")
	}
}

// Every pick to a subchannel has a connection that is up.
func TestRemovedSubchannelsAreNotPicked(t *testing.T) {
	p := &oneForAll{}
	balancerTest(t, up(), withPolicy(p), func(w *world) {
		w.offer("a")
		w.expect(ready)
		old := w.picker()
		c := w.call()
		w.bal.Tell(&Stop{Reason: "enough"})
		_ = c.Wait(nil)
		c.Release()
		time.Sleep(time.Second)
		if _, ok, err := pick(old); ok || err != nil {
			t.Errorf("pick: %v %v", ok, err)
		}
	})
}
