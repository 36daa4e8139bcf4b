package faults_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// one does one RPC to a storm: every third is a stream.
func (l *load) one(t testing.TB, cc grpc.ClientConnInterface, i int) (id string, err error) {
	wait := grpc.WaitForReady(i%2 == 0)
	if i%3 != 0 {
		return l.invoke(patient(t), cc, echo, wait)
	}
	ctx, id := l.led.id(patient(t))
	_, err = l.converse(ctx, id, cc, 5, wait)
	return id, err
}

// A server says GOAWAY all the time. RPCs beyond its last stream id are sent
// again and nobody notices, those at or below it finish: none fails, none hangs,
// none is executed twice.
//
// RPCs come in rounds, and behind each connection that refuses some comes one
// that refuses none before a round is over, because what is refused twice fails.
func TestGoAwayStorm(t *testing.T) {
	const width = 16
	for _, kind := range []farewell{none, exact, fewer} {
		for _, calm := range []farewell{most, twoStep} {
			t.Run(fmt.Sprintf("%s, %s", kind, calm), func(t *testing.T) {
				s := newStorm(t, func(n int) (int, farewell) {
					if n%2 == 0 {
						return 1 + n%(2*width), kind
					}
					return width + 1 + n%width, calm
				})
				cc, sys := client(t, "passthrough:///"+s.lis.Addr().String())
				l := newLoad(t, newLedger())
				l.anybody = true // this server writes down for itself
				rounds := less(60, 10)
				for range rounds {
					var all sync.WaitGroup
					for i := range width {
						all.Go(func() {
							if id, err := l.one(t, cc, i); err != nil {
								l.wrong("call %s: %v", id, err)
							}
						})
					}
					all.Wait()
				}
				l.end()
				s.judge(t, rounds*width)
				comesTo(t, "connections that were told to go are gone", func() bool { return actorsOf(sys, "conn") <= 1 })
			})
		}
	}
}

// judge says whether n calls were answered, each once.
func (s *storm) judge(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, k := range s.executed {
		if k != 1 {
			t.Errorf("call %s was executed %d times", id, k)
		}
	}
	if len(s.executed) != n {
		t.Errorf("%d calls were executed, want %d", len(s.executed), n)
	}
	if s.cut > 0 {
		t.Errorf("%d connections were cut with calls on them that the server was to answer", s.cut)
	}
	if len(s.refused) == 0 {
		t.Error("no call was refused: this proves nothing")
	}
	t.Logf("%d connections, %d calls were refused", s.came, len(s.refused))
}

// All kinds of GOAWAY in a random order, under load that does not wait for
// anything. What is refused a second time may fail, as UNAVAILABLE, and then
// nobody has executed it.
func TestGoAwayStormWithoutOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newStorm(t, func(int) (int, farewell) { // one at a time
		return 1 + r.IntN(40), []farewell{none, exact, most, twoStep, fewer}[r.IntN(5)]
	})
	cc, sys := client(t, "passthrough:///"+s.lis.Addr().String())
	l := newLoad(t, newLedger())
	l.anybody = true
	var all sync.WaitGroup
	var failed sync.Map
	const workers = 12
	each := less(300, 50)
	for w := range workers {
		all.Go(func() {
			for i := range each {
				id, err := l.one(t, cc, w+i)
				if err != nil {
					failed.Store(id, true)
				}
				if err != nil && status.Code(err) != codes.Unavailable {
					l.wrong("call %s: %v", id, err)
				}
			}
		})
	}
	all.Wait()
	l.end()
	n := workers * each
	failed.Range(func(id, _ any) bool {
		n--
		if k := s.executed[id.(string)]; k != 0 {
			t.Errorf("call %s failed and was executed %d times", id, k)
		}
		return true
	})
	t.Logf("%d of %d calls were refused twice", workers*each-n, workers*each)
	s.judge(t, n)
	comesTo(t, "connections that were told to go are gone", func() bool { return actorsOf(sys, "conn") <= 1 })
}
