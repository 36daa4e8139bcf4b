package policy

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"pgregory.net/rapid"
)

// Short names for states: tables of tests are read across.
const (
	idle       = connectivity.Idle
	connecting = connectivity.Connecting
	ready      = connectivity.Ready
	failing    = connectivity.TransientFailure
	shutdown   = connectivity.Shutdown
)

var errDial = errors.New("connection refused")

// rig is the balancer of one policy under test: it performs effects, keeps
// subchannels and a clock, and checks after every step what holds for every
// policy.
//
// By itself a subchannel that is asked to connect says CONNECTING at once and
// then waits for the test (Set, All). With manual set, what subchannels say
// stays in their inboxes until Deliver, so that a random walk may reorder it.
type rig struct {
	t      rapid.TB
	policy Policy
	fx     Effects

	now    time.Time
	wake   time.Time // when a Tick is due; zero: none
	subs   []*fakeSub
	by     map[*Subchannel]*fakeSub
	state  State
	closed bool

	// What happened; a test may set them back.
	published int
	resolves  int
	reports   []Report

	manual bool
	rules  rules
	seed   uint64
}

// rules are what does not hold for every policy.
type rules struct {
	oneReadyIsReady bool // a subchannel in READY makes the policy READY
	readyNeverWaits bool // every pick of a READY picker has a subchannel
	failingFails    bool // every pick in TRANSIENT_FAILURE has an error
	wild            bool // subchannels say what the contract does not allow
}

// leafRules hold for the policies that connect to endpoints.
var leafRules = rules{oneReadyIsReady: true, readyNeverWaits: true, failingFails: true}

// fakeSub is a subchannel: what it is, and what the policy has heard of it.
type fakeSub struct {
	*Subchannel
	addrs    []resolver.Address
	noHealth bool
	now      connectivity.State // what it is
	told     connectivity.State // what the policy knows
	heard    bool               // the policy knows anything
	inbox    []*Changed
	connects int           // how often it began to connect
	removed  bool          // or gone by itself
	interval time.Duration // of load reports
}

func newRig(t rapid.TB, p Policy) *rig {
	t.Helper()
	r := &rig{t: t, policy: p, by: map[*Subchannel]*fakeSub{}, rules: leafRules, seed: 1}
	r.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r.fx.Host = (*rigHost)(r)
	return r
}

// rigHost keeps Host's methods off the rig's own.
type rigHost rig

func (h *rigHost) NewSubchannel() *Subchannel {
	s := &Subchannel{ID: uint64(len(h.by) + 1)}
	h.by[s] = nil
	return s
}

func (h *rigHost) Rand() uint64 { return (*rig)(h).Rand() }

// Rand is the rig's random source: xorshift, the same in every run.
func (r *rig) Rand() uint64 {
	r.seed ^= r.seed << 13
	r.seed ^= r.seed >> 7
	r.seed ^= r.seed << 17
	return r.seed >> 1
}

// Step gives the policy an event, performs what it asks for, delivers what
// subchannels say to that unless the rig is manual, and checks the invariants.
func (r *rig) Step(ev Event) {
	r.t.Helper()
	if c, ok := ev.(*Changed); ok {
		if s := r.by[c.Subchannel]; s != nil {
			s.told, s.heard = c.State, true
			s.removed = s.removed || c.State == shutdown // nobody has to remove it
		}
	}
	r.fx.Reset()
	r.policy.Step(ev, r.now, &r.fx)
	if _, ok := ev.(*Close); ok {
		r.closed = true
	}
	r.perform()
	if !r.manual {
		r.deliverAll()
	}
	r.check()
}

func (r *rig) perform() {
	r.t.Helper()
	for _, c := range r.fx.Create {
		if s, ours := r.by[c.Subchannel]; !ours || s != nil {
			r.t.Fatalf("created a subchannel that is not new: %v", c)
		}
		s := &fakeSub{Subchannel: c.Subchannel, addrs: c.Addresses, noHealth: c.NoHealth}
		r.by[c.Subchannel] = s
		r.subs = append(r.subs, s)
		s.say(idle, nil)
	}
	for _, h := range r.fx.Connect {
		if s := r.living(h, "connect"); s.now == idle {
			s.connects++
			s.say(connecting, nil)
		}
	}
	for _, h := range r.fx.Remove {
		s := r.living(h, "remove")
		s.removed, s.now = true, shutdown
	}
	for _, rep := range r.fx.Report {
		r.living(rep.Subchannel, "report").interval = rep.Interval
	}
	r.reports = append(r.reports, r.fx.Report...)
	if p := r.fx.Publish; p != nil {
		if p.Picker == nil {
			r.t.Fatalf("published %v without a picker", p.Connectivity)
		}
		r.state = *p
		r.published++
	}
	if r.fx.Resolve {
		r.resolves++
	}
	if w := r.fx.Wake; !w.IsZero() && (r.wake.IsZero() || w.Before(r.wake)) {
		r.wake = w
	}
}

func (r *rig) living(h *Subchannel, what string) *fakeSub {
	r.t.Helper()
	s := r.by[h]
	if s == nil || s.removed {
		r.t.Fatalf("%s of a subchannel that is not (now) there: %+v", what, s)
	}
	return s
}

// say changes what the subchannel is; the policy hears of it by delivery.
func (s *fakeSub) say(st connectivity.State, err error) {
	s.now = st
	s.inbox = append(s.inbox, &Changed{Subchannel: s.Subchannel, State: st, Err: err})
}

// deliverAll steps the reports of all subchannels, and those that follow.
func (r *rig) deliverAll() {
	r.t.Helper()
	for more := true; more; {
		more = r.deliverOne()
	}
}

// deliverOne steps one report of one subchannel and says whether there was one.
func (r *rig) deliverOne() bool {
	r.t.Helper()
	for _, s := range r.subs {
		if r.Deliver(s) {
			return true
		}
	}
	return false
}

// Deliver steps the oldest undelivered report of s.
func (r *rig) Deliver(s *fakeSub) bool {
	r.t.Helper()
	if s.removed || len(s.inbox) == 0 {
		return false
	}
	c := s.inbox[0]
	s.inbox = s.inbox[1:]
	r.Step(c)
	return true
}

// Set makes the living subchannel of an address report a state.
func (r *rig) Set(addr string, st connectivity.State, err error) {
	r.t.Helper()
	s := r.At(addr)
	if s == nil {
		r.t.Fatalf("no subchannel for %s", addr)
	}
	s.say(st, err)
	if !r.manual {
		r.Deliver(s)
	}
}

// Ready connects the addresses, which must be CONNECTING.
func (r *rig) Ready(addrs ...string) {
	r.t.Helper()
	for _, a := range addrs {
		if s := r.At(a); s == nil || s.now != connecting {
			r.t.Fatalf("%s is not connecting: %+v", a, s)
		}
		r.Set(a, ready, nil)
	}
}

// At is the living subchannel of an address, or nil.
func (r *rig) At(addr string) *fakeSub {
	for _, s := range r.Living() {
		if slices.ContainsFunc(s.addrs, func(a resolver.Address) bool { return a.Addr == addr }) {
			return s
		}
	}
	return nil
}

// Living are the subchannels that are not removed, in the order of creation.
func (r *rig) Living() (list []*fakeSub) {
	for _, s := range r.subs {
		if !s.removed {
			list = append(list, s)
		}
	}
	return list
}

// In are the addresses of the living subchannels in a state.
func (r *rig) In(st connectivity.State) (list []string) {
	for _, s := range r.Living() {
		if s.now == st {
			list = append(list, s.addrs[0].Addr)
		}
	}
	return list
}

// Update offers endpoints, with the configuration.
func (r *rig) Update(c Config, eps ...resolver.Endpoint) {
	r.t.Helper()
	r.Step(&Update{Endpoints: eps, Config: c, Hosted: resolver.State{Endpoints: eps}})
}

// Pass lets time pass, with the Ticks that are due on the way.
func (r *rig) Pass(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	for !r.wake.IsZero() && !r.wake.After(end) {
		if r.wake.After(r.now) {
			r.now = r.wake
		}
		r.wake = time.Time{}
		r.Step(&Tick{})
	}
	r.now = end
}

// Pick picks once and tells the policy what the pick wants.
func (r *rig) Pick(ctx context.Context) Pick {
	r.t.Helper()
	pk := r.state.Picker.Pick(r.info(ctx))
	if pk.Wanted != nil && pk.Wanted.Ask() {
		r.Step(pk.Wanted)
	}
	return pk
}

func (r *rig) info(ctx context.Context) *PickInfo {
	return &PickInfo{Ctx: ctx, Method: "/s/m", Rand: r.Rand}
}

// Picked is the address an RPC is sent to; "": it waits, or fails.
func (r *rig) Picked() string {
	r.t.Helper()
	s := r.by[r.Pick(context.Background()).Subchannel]
	if s == nil {
		return ""
	}
	return s.addrs[0].Addr
}

// Spread picks n times and counts the addresses.
func (r *rig) Spread(n int) map[string]int {
	r.t.Helper()
	m := map[string]int{}
	for range n {
		m[r.Picked()]++
	}
	return m
}

// WantState fails the test if the policy's state is another.
func (r *rig) WantState(want connectivity.State) {
	r.t.Helper()
	if r.state.Connectivity != want || r.published == 0 {
		r.t.Fatalf("state %v (published %d times), want %v", r.state.Connectivity, r.published, want)
	}
}

// WantErr fails the test if a pick does not end with an error that is want.
func (r *rig) WantErr(want error) {
	r.t.Helper()
	if err := r.Pick(context.Background()).Err; !errors.Is(err, want) {
		r.t.Fatalf("pick ends with %v, want %v", err, want)
	}
}

// Close ends the policy and checks that it leaves nothing.
func (r *rig) Close() {
	r.t.Helper()
	r.Step(&Close{})
}

// check is what holds after every step.
func (r *rig) check() {
	r.t.Helper()
	if r.closed {
		if l := r.Living(); len(l) != 0 {
			r.t.Fatalf("%d subchannels left after Close, first %+v", len(l), l[0])
		}
		return
	}
	if r.published == 0 {
		r.t.Fatalf("nothing published by the first step")
	}
	for range 4 {
		r.checkPick(r.state.Picker.Pick(r.info(context.Background())))
	}
	usable := 0
	for _, s := range r.Living() {
		if s.told == ready && s.heard {
			usable++
		}
	}
	if r.rules.oneReadyIsReady && (usable > 0) != (r.state.Connectivity == ready) {
		r.t.Fatalf("%d subchannels are READY, the policy is %v", usable, r.state.Connectivity)
	}
	if r.state.Connectivity == connecting && !r.progress() {
		r.t.Fatalf("CONNECTING, and nothing happens any more")
	}
}

func (r *rig) checkPick(pk Pick) {
	r.t.Helper()
	st := r.state.Connectivity
	switch {
	case pk.Subchannel != nil && pk.Err != nil:
		r.t.Fatalf("a subchannel and an error: %+v", pk)
	case pk.Subchannel != nil:
		if s := r.living(pk.Subchannel, "pick"); s.told != ready {
			r.t.Fatalf("picked %s, which is %v", s.addrs[0].Addr, s.told)
		}
	case st == ready && r.rules.readyNeverWaits:
		r.t.Fatalf("READY, and an RPC does not get a subchannel: %+v", pk)
	case st == failing && r.rules.failingFails && pk.Err == nil:
		r.t.Fatalf("TRANSIENT_FAILURE, and an RPC waits")
	}
	if pk.Done != nil {
		pk.Done.Done(pk.Subchannel, DoneInfo{Abandoned: true})
	}
}
