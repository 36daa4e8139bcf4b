package faults_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/resolver/manual"
)

// fleet is a number of servers behind one name.
type fleet struct {
	*manual.Resolver
	led *ledger
	all []*life
}

func newFleet(t *testing.T, n int, l limits) *fleet {
	t.Helper()
	f := &fleet{Resolver: manual.New("fleet"), led: newLedger()}
	for i := range n {
		f.all = append(f.all, start(t, kinds[i%len(kinds)], l, newBackend(f.led)))
	}
	return f
}

func (f *fleet) addrs() (list []string) {
	for _, s := range f.all {
		list = append(list, s.addr)
	}
	return list
}

// client is a channel to them with a policy.
func (f *fleet) client(t *testing.T, policy string, opts ...callboard.DialOption) (*callboard.ClientConn, *callboard.System) {
	t.Helper()
	return client(t, "fleet:///all", append(opts, callboard.WithResolvers(f),
		callboard.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig":[{%q:{}}]}`, policy)))...)
}

// served is how many calls each has got since it was asked last.
func (f *fleet) served() (n []int64) {
	for _, s := range f.all {
		n = append(n, s.calls.Swap(0))
	}
	return n
}

// allUsed waits until calls reach every server.
func (f *fleet) allUsed(t *testing.T, l *load, cc grpc.ClientConnInterface) {
	t.Helper()
	comesTo(t, "all are used", func() bool {
		for range 3 * len(f.all) {
			if id, err := l.call(cc, grpc.WaitForReady(true)); err != nil {
				t.Fatalf("call %s: %v", id, err)
			}
		}
		return !slices.Contains(f.served(), 0)
	})
}

// One of three is slow. round_robin gives it its share all the same, and nobody
// else's calls wait for it; least_request keeps away from it.
func TestOneSlowBackend(t *testing.T) {
	const workers = 9
	calls := less(900, 300)
	for policy, judge := range map[string]func(t *testing.T, n []int64){
		"round_robin": func(t *testing.T, n []int64) {
			// Each gets what the others get, but for the turns that are under way.
			if slices.Max(n)-slices.Min(n) > workers {
				t.Errorf("calls %v, want the same for each", n)
			}
		},
		"least_request_experimental": func(t *testing.T, n []int64) {
			if 3*n[0] > n[1]+n[2] {
				t.Errorf("calls %v, want clearly less than a third for the first", n)
			}
		},
	} {
		t.Run(policy, func(t *testing.T) {
			f := newFleet(t, 3, limits{})
			f.all[0].pause = func(ctx context.Context) { f.others(ctx, 20) }
			f.Addresses(f.addrs()...)
			cc, _ := f.client(t, policy)
			l := newLoad(t, f.led)
			f.allUsed(t, l, cc)
			todo := make(chan struct{}, calls)
			for range calls {
				todo <- struct{}{}
			}
			close(todo)
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for range todo {
						if id, err := l.call(cc); err != nil { // it fails fast, if at all
							l.wrong("call %s: %v", id, err)
						}
					}
				})
			}
			all.Wait()
			l.end()
			f.led.once(t)
			judge(t, f.served())
		})
	}
}

// others waits until n calls have reached the other servers, which is what makes
// one slow, however fast the machine.
func (f *fleet) others(ctx context.Context, n int64) {
	sum := func() (n int64) {
		for _, s := range f.all[1:] {
			n += s.total.Load()
		}
		return n
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(50 * time.Millisecond) // there may be nobody left to call
	for from := sum(); sum() < from+n; {
		select {
		case <-tick.C:
		case <-limit:
			return
		case <-ctx.Done():
			return
		}
	}
}

// A call that is stuck at one of three holds nobody else up.
func TestOneStuckBackend(t *testing.T) {
	f := newFleet(t, 3, limits{})
	release := make(chan struct{})
	f.all[0].pause = func(ctx context.Context) {
		select {
		case <-release:
		case <-ctx.Done():
		}
	}
	f.Addresses(f.addrs()...)
	cc, _ := f.client(t, "round_robin")
	l := newLoad(t, f.led)
	calls := int64(less(300, 60))
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			if id, err := l.call(cc, grpc.WaitForReady(true)); err != nil {
				l.wrong("call %s: %v", id, err)
			} else {
				l.ok.Add(1)
			}
		})
	}
	comesTo(t, "the others serve", func() bool { return l.ok.Load()+f.all[0].running.Load() == calls })
	close(release)
	all.Wait()
	l.end()
	f.led.once(t)
}

// One of three is none: nothing listens there, or what does never says a word, or
// not of HTTP/2. The others serve, and calls that fail fast do not fail.
func TestOneBackendIsNone(t *testing.T) {
	for name, none := range map[string]func(t *testing.T) (addr string){
		"refuses": func(t *testing.T) string { return port(t) },
		"silent":  func(t *testing.T) string { return answering(t, "") },
		"HTTP/1": func(t *testing.T) string {
			return answering(t, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		},
		"resets": func(t *testing.T) string {
			p := newProxy(t, "127.0.0.1:1") // where nothing listens either
			return p.addr()
		},
	} {
		for _, policy := range []string{"round_robin", "least_request_experimental", "pick_first"} {
			t.Run(name+", "+policy, func(t *testing.T) {
				f := newFleet(t, 2, limits{})
				f.Addresses(append([]string{none(t)}, f.addrs()...)...)
				cc, sys := f.client(t, policy, callboard.WithConnectParams(callboard.ConnectParams{
					Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, MaxDelay: 100 * time.Millisecond},
					MinConnectTimeout: 150 * time.Millisecond,
				}))
				p := watchPauses(sys)
				l := newLoad(t, f.led)
				l.workers(4, func() error {
					id, err := l.call(cc)
					if err != nil {
						l.wrong("call %s: %v", id, err)
					}
					return err
				})
				l.progress(int64(less(400, 100)))
				if policy != "pick_first" { // which has no use for it any more
					p.failures(t, 3)
				}
				l.end()
				f.led.once(t)
				if n := f.served(); policy != "pick_first" && slices.Contains(n, 0) {
					t.Errorf("calls %v, want some for each", n)
				}
				p.judge(t)
			})
		}
	}
}

// answering is a server that takes whatever comes and says but one thing.
func answering(t *testing.T, text string) string {
	t.Helper()
	lis := listen(t, "127.0.0.1:0")
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Write([]byte(text))
			all.Go(func() {
				defer hangUp(nc)
				for buf := make([]byte, 4096); ; {
					if _, err := nc.Read(buf); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		all.Wait() // the client hangs up
	})
	return lis.Addr().String()
}

// A target of which every backend is none fails what fails fast, again and again,
// keeps what waits until its deadline, and says which it was.
func TestAllBackendsAreNone(t *testing.T) {
	r := manual.New("fleet", port(t), answering(t, ""))
	cc, _ := client(t, "fleet:///none", callboard.WithResolvers(r),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		callboard.WithConnectParams(callboard.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, MaxDelay: 100 * time.Millisecond},
			MinConnectTimeout: 200 * time.Millisecond,
		}))
	l := newLoad(t, newLedger())
	for range less(200, 20) {
		id, err := l.call(cc)
		if why, ok := callboard.WhyOf(err); status.Code(err) != codes.Unavailable || !ok || len(why.Subchannels) == 0 {
			t.Fatalf("call %s: %v", id, err)
		}
	}
	late := newLateness()
	for range 5 {
		late.add(300*time.Millisecond, func(ctx context.Context) error {
			_, err := l.invoke(ctx, cc, echo, grpc.WaitForReady(true))
			return err
		})
	}
	late.judge(t)
	if st := cc.GetState(); st == connectivity.Ready {
		t.Errorf("state %v", st)
	}
	l.end()
}
