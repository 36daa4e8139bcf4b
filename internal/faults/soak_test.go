package faults_test

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
	"github.com/callboard-rpc/callboard/resolver/manual"
)

var (
	seedFlag = flag.Uint64("seed", 0, "of the soak test; 0: a random one")
	soakFlag = flag.Duration("soak", 0, "how long the soak test makes faults; 0: some seconds")
)

// Random faults under random load. Whatever happens, each RPC ends once, with a
// status that a fault or its own context explains and after a prefix of what it
// was sent; nothing reaches a handler twice; and when the faults stop, calls that
// wait for ready finish, and nothing is left of all that was.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	length := *soakFlag
	if length == 0 {
		length = time.Duration(less(7, 2)) * time.Second
	}
	t.Logf("go test -run TestSoak -seed %d -soak %v", seed, length)
	s := newSoak(t, seed)
	spread, sys := client(t, "soak:///spread", callboard.WithResolvers(s.names),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	first, _ := client(t, "soak:///first", callboard.WithResolvers(s.names), callboard.WithMaxConnectionsPerSubchannel(3))
	pauses := watchPauses(sys)
	for i := range 24 {
		cc := spread
		if i%3 == 0 {
			cc = first
		}
		r := s.rand()
		s.l.workers(1, func() error { return s.call(cc, r) })
	}
	s.makeFaults(length)
	s.l.end()
	pauses.judge(t)
	s.led.once(t)

	after := newLoad(t, s.led)
	for _, cc := range []*callboard.ClientConn{spread, first} {
		for range 50 {
			if id, err := after.call(cc, grpc.WaitForReady(true)); err != nil {
				t.Errorf("call %s after the faults: %v", id, err)
			}
		}
	}
	after.end()
	s.quiet(t, sys)
	t.Logf("%d RPCs succeeded, %d did not, %d faults; %v", s.l.ok.Load(), s.l.failed.Load(), s.faults.Load(), s.codes())
}

// soak is three servers behind a proxy each, and what happens to them.
type soak struct {
	t      *testing.T
	l      *load
	led    *ledger
	names  *manual.Resolver
	nodes  []*node
	faults atomic.Int64

	mu    sync.Mutex
	seeds *rand.Rand
	ends  map[codes.Code]int
}

type node struct {
	*proxy
	kind string
	f    *life
}

func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{t: t, led: newLedger(), seeds: rand.New(rand.NewPCG(seed, 0)), ends: map[codes.Code]int{}}
	s.l = newLoad(t, s.led)
	for i := range 3 {
		n := &node{kind: kinds[i%len(kinds)]}
		n.f = s.serve(n.kind)
		n.proxy = newProxy(t, n.f.addr)
		s.nodes = append(s.nodes, n)
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.f.kill(t)
		}
	})
	s.names = manual.New("soak", s.addrs()...)
	return s
}

func (s *soak) serve(kind string) *life {
	return serve(s.t, listen(s.t, "127.0.0.1:0"), kind, limits{streams: 20}, newBackend(s.led))
}

func (s *soak) addrs() (list []string) {
	for _, n := range s.nodes {
		list = append(list, n.addr())
	}
	return list
}

// rand is a source of the seed's own for every goroutine.
func (s *soak) rand() *rand.Rand {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rand.New(rand.NewPCG(s.seeds.Uint64(), 0))
}

// makeFaults makes them at all servers, and at the resolver, for a time. All of
// them are over when it returns.
func (s *soak) makeFaults(length time.Duration) {
	over := make(chan struct{})
	time.AfterFunc(length, func() { close(over) })
	var all sync.WaitGroup
	every := func(pause time.Duration, fault func(*rand.Rand, func(time.Duration))) {
		r := s.rand()
		rest := func(d time.Duration) {
			select {
			case <-over:
			case <-time.After(time.Duration(r.Int64N(int64(d)))):
			}
		}
		all.Go(func() {
			for {
				rest(pause)
				select {
				case <-over:
					return
				default:
					fault(r, rest)
					s.faults.Add(1)
				}
			}
		})
	}
	for _, n := range s.nodes {
		every(120*time.Millisecond, func(r *rand.Rand, rest func(time.Duration)) { s.breakNode(n, r, rest) })
	}
	every(100*time.Millisecond, s.breakNames)
	all.Wait()
}

func (s *soak) breakNode(n *node, r *rand.Rand, rest func(time.Duration)) {
	const spell = 150 * time.Millisecond
	switch r.IntN(9) {
	case 0:
		n.reset()
	case 1:
		n.finish()
	case 2:
		n.resetOne()
	case 3:
		n.tear(r.IntN(300))
		rest(spell)
		n.reset() // a link that was not used is as good as before
	case 4:
		n.turn(still)
		rest(spell)
		n.turn(fair)
	case 5:
		n.turn(black)
		rest(spell)
		n.reset()
		n.turn(fair)
	case 6:
		n.refuse(true)
		n.reset()
		rest(spell)
		n.refuse(false)
	case 7:
		n.f.kill(s.t)
		rest(spell)
		s.replace(n)
	case 8:
		n.f.retire(s.t)
		s.replace(n)
	}
}

func (s *soak) replace(n *node) {
	n.f = s.serve(n.kind)
	n.aim(n.f.addr)
}

func (s *soak) breakNames(r *rand.Rand, rest func(time.Duration)) {
	all := s.addrs()
	switch r.IntN(4) {
	case 0:
		s.names.Fail(errNoAnswer)
	case 1:
		s.names.Addresses()
		rest(20 * time.Millisecond)
		s.names.Addresses(all...)
	default:
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		s.names.Addresses(all[:1+r.IntN(len(all))]...)
		rest(100 * time.Millisecond)
		s.names.Addresses(all...)
	}
}

// quiet waits until no handler runs, and no stream is in use.
func (s *soak) quiet(t *testing.T, sys *callboard.System) {
	t.Helper()
	for i, n := range s.nodes {
		comesTo(t, "server "+strconv.Itoa(i)+" is quiet", func() bool { return n.f.running.Load() == 0 })
	}
	comesTo(t, "no stream is in use", func() bool {
		busy := false
		sys.Inspect().Walk(func(_ int, a *inspect.Node) bool {
			busy = busy || a.Kind == "stream" && a.State != "closed" && a.State != "idle"
			return !busy
		})
		return !busy
	})
	comesTo(t, "only connections in use are left", func() bool { return actorsOf(sys, "conn") <= len(s.nodes) })
}
