package faults_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// again is a service config by which Echo is sent once more when its connection
// is lost. Nothing else is.
const again = `{"methodConfig":[{"name":[{"service":"faults.S","method":"Echo"}],"retryPolicy":{
	"maxAttempts":5,"initialBackoff":"0.002s","maxBackoff":"0.02s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// A server is killed and started again, many times, under load. Calls that wait
// for ready lose at most the connection they are on, and with a retry policy
// nothing; calls that fail fast and streams end as UNAVAILABLE.
func TestServerKilledUnderLoad(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			led := newLedger()
			addr := port(t)
			up := func() *life {
				return serve(t, listen(t, addr), kind, limits{}, newBackend(led))
			}
			f := up()
			defer func() { f.kill(t) }()
			plain, sys := client(t, "passthrough:///"+addr)
			retried, _ := client(t, "passthrough:///"+addr, callboard.WithDefaultServiceConfig(again))
			pauses := watchPauses(sys)

			// With a policy handlers may see a call again: these write elsewhere.
			l, twice := newLoad(t, led), newLoad(t, newLedger())
			twice.led = led
			l.waitingUnlessLost(3, plain)
			l.hasty(2, plain)
			l.talking(2, plain)
			retries := &sync.Map{}
			twice.workers(2, func() error {
				id, err := twice.call(retried, grpc.WaitForReady(true))
				retries.Store(id, true)
				if err != nil {
					twice.wrong("call %s waits for ready, with a policy: %v", id, err)
				}
				return err
			})
			for range less(50, 10) {
				l.progress(20)
				twice.progress(5)
				f.kill(t)
				f = up()
			}
			l.progress(50)
			twice.progress(50)
			l.end()
			twice.end()
			led.onceBut(t, retries)
			pauses.judge(t)
			t.Logf("%d calls succeeded, %d failed; with a policy %d, %d",
				l.ok.Load(), l.failed.Load(), twice.ok.Load(), twice.failed.Load())
		})
	}
}

// waitingUnlessLost calls wait for ready. They may fail as those that were on a
// connection that broke, and with nothing else.
func (l *load) waitingUnlessLost(n int, cc grpc.ClientConnInterface) {
	l.workers(n, func() error {
		id, err := l.call(cc, grpc.WaitForReady(true))
		if why, _ := callboard.WhyOf(err); err != nil && (status.Code(err) != codes.Unavailable || why.Stage != callboard.Lost) {
			l.wrong("call %s waits for ready, and ends at stage %v: %v", id, why.Stage, err)
		}
		return err
	})
}

// talking are streams, one after the other, that are long enough to be cut.
func (l *load) talking(n int, cc grpc.ClientConnInterface) {
	l.workers(n, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), ample)
		defer cancel()
		_, err := l.conversation(ctx, cc, 200, grpc.WaitForReady(true))
		if err != nil && status.Code(err) != codes.Unavailable {
			l.wrong("a stream ended with %v", err)
		}
		return err
	})
}

// onceBut is once, for all calls that are not in twice.
func (l *ledger) onceBut(t testing.TB, twice *sync.Map) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range l.starts {
		if _, ok := twice.Load(id); n > 1 && !ok {
			t.Errorf("call %s reached a handler %d times", id, n)
		}
	}
}

// A server that drains and is started again costs nobody anything.
func TestServerRetiredUnderLoad(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			led := newLedger()
			addr := port(t)
			up := func() *life {
				return serve(t, listen(t, addr), kind, limits{}, newBackend(led))
			}
			f := up()
			defer func() { f.kill(t) }()
			cc, _ := client(t, "passthrough:///"+addr)
			l := newLoad(t, led)
			l.waiting(4, cc)
			l.workers(2, func() error {
				ctx, cancel := context.WithTimeout(context.Background(), ample)
				defer cancel()
				_, err := l.conversation(ctx, cc, 20, grpc.WaitForReady(true))
				if err != nil {
					l.wrong("a stream ended with %v", err)
				}
				return err
			})
			for range less(50, 10) {
				l.progress(20)
				f.retire(t)
				f = up()
			}
			l.progress(50)
			l.end()
			led.once(t)
		})
	}
}

// pauses watches that no attempt of a subchannel begins before its backoff is
// over.
type pauses struct {
	sub *callboard.Subscription

	mu    sync.Mutex
	began map[string]time.Time // attempts
	until map[string]time.Time
	waits []pause // of the row of failures that goes on
	rows  [][]pause
	early []time.Duration
}

// pause is from the beginning of an attempt, and from its failure, to when the
// next is announced for. Both are 0 where it is due at once.
type pause struct{ attempt, failure time.Duration }

func watchPauses(sys *callboard.System) *pauses {
	p := &pauses{began: map[string]time.Time{}, until: map[string]time.Time{}}
	p.sub = sys.Subscribe(p.hear, callboard.WithEventLimit(1<<20))
	return p
}

func (p *pauses) hear(ev callboard.Event) {
	st, ok := ev.(callboard.SubchannelState)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch path := st.Path(); st.To {
	case connectivity.TransientFailure:
		var w pause
		if at := st.NextAttempt; !at.IsZero() {
			w = pause{attempt: at.Sub(p.began[path]), failure: at.Sub(st.When())}
		}
		p.until[path] = st.NextAttempt
		p.waits = append(p.waits, w)
	case connectivity.Connecting:
		if at := p.until[path]; st.When().Before(at) {
			p.early = append(p.early, at.Sub(st.When()))
		}
		delete(p.until, path)
		p.began[path] = st.When()
	case connectivity.Ready:
		p.rows, p.waits = append(p.rows, p.waits), nil
	case connectivity.Idle, connectivity.Shutdown:
	}
}

// judge ends the watch. It returns the waits that were announced, one row for
// each time that the server was away.
func (p *pauses) judge(t testing.TB) [][]pause {
	t.Helper()
	p.sub.Close()
	<-p.sub.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.early {
		// What was announced is the time as of then; the timer may have its own.
		if d > 2*time.Millisecond {
			t.Errorf("an attempt began %v before its backoff was over", d)
		}
	}
	if n := p.sub.Dropped(); n > 0 {
		t.Errorf("%d events were dropped", n)
	}
	return p.rows
}

// While a server is away the waits between attempts grow as gRPC's connection
// backoff says, and they begin anew once it was there.
func TestReconnectFollowsTheBackoff(t *testing.T) {
	const base, most = 20 * time.Millisecond, 200 * time.Millisecond
	const slack = 5 * time.Millisecond // between a moment and its event
	cfg := backoff.Config{BaseDelay: base, Multiplier: 2, Jitter: 0.2, MaxDelay: most}
	addr := port(t)
	cc, sys := client(t, "passthrough:///"+addr, callboard.WithConnectParams(callboard.ConnectParams{Backoff: cfg, MinConnectTimeout: time.Second}))
	p := watchPauses(sys)
	led := newLedger()
	for range 2 {
		l := newLoad(t, led)
		l.waitingUnlessLost(2, cc)
		p.failures(t, 7)
		f := serve(t, listen(t, addr), "callboard", limits{}, newBackend(led))
		l.progress(20)
		l.end()
		f.kill(t)
	}
	rows := p.judge(t)
	if len(rows) != 2 {
		t.Fatalf("it was READY %d times, want 2: %v", len(rows), rows)
	}
	for _, row := range rows {
		want := base
		for i, w := range row {
			// Jitter is a fifth. An attempt that took longer than that is followed by
			// the next at once.
			low, high := want*8/10-slack, want*12/10+slack
			if got := w.attempt; got != 0 && (got < low || got > high) {
				t.Errorf("wait %d is %v, want about %v", i, got, want)
			}
			want = min(2*want, most)
		}
	}
}

// failures waits until n attempts in a row have failed.
func (p *pauses) failures(t testing.TB, n int) {
	t.Helper()
	comesTo(t, "attempts fail", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.waits) >= n
	})
}

// Supervision may say when to reconnect, and its word is what happens.
func TestReconnectWhenSupervisionSays(t *testing.T) {
	addr := port(t)
	const after = 40 * time.Millisecond
	cc, sys := client(t, "passthrough:///"+addr, callboard.WithSupervision(callboard.Always(callboard.Reconnect(after))))
	p := watchPauses(sys)
	led := newLedger()
	l := newLoad(t, led)
	l.waiting(2, cc)
	p.failures(t, 5)
	f := serve(t, listen(t, addr), "callboard", limits{}, newBackend(led))
	defer func() { f.kill(t) }()
	l.progress(20)
	l.end()
	for _, row := range p.judge(t) {
		for i, w := range row {
			if got := w.failure; got < after-5*time.Millisecond || got > after+time.Millisecond {
				t.Errorf("wait %d is %v, want %v", i, got, after)
			}
		}
	}
}
