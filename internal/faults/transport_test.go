package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// cuts are the ways in which a socket ends.
var cuts = map[string]func(*proxy){
	"RST":           (*proxy).reset,
	"FIN":           (*proxy).finish,
	"in a frame":    func(p *proxy) { p.tear(3) },
	"behind a wall": func(p *proxy) { p.turn(still); p.reset(); p.turn(fair) },
}

// through is a server, a proxy before it and a client that goes through it.
type through struct {
	*life
	p   *proxy
	cc  *callboard.ClientConn
	sys *callboard.System
	led *ledger
}

func newThrough(t *testing.T, kind string, opts ...callboard.DialOption) *through {
	t.Helper()
	led := newLedger()
	x := &through{led: led, life: start(t, kind, limits{}, newBackend(led))}
	x.p = newProxy(t, x.addr)
	x.cc, x.sys = client(t, "passthrough:///"+x.p.addr(), opts...)
	return x
}

// up makes sure that there is a connection, by a call.
func (x *through) up(t *testing.T) {
	t.Helper()
	ctx := patient(t)
	for {
		err := x.cc.Invoke(ctx, echo, say("up"), new(text), grpc.WaitForReady(true))
		if err == nil {
			return
		}
		// The connection before may end under this call, too.
		if status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
	}
}

// heal makes an end of the connections there are, and lets new ones come.
func (x *through) heal(t *testing.T) {
	t.Helper()
	x.p.reset()
	x.p.turn(fair)
	if x.cc.GetState() == connectivity.Ready && !x.cc.WaitForStateChange(patient(t), connectivity.Ready) {
		t.Fatal("the end was not noticed")
	}
}

// eachServer runs a test against servers of both kinds.
func eachServer(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

// A connection that ends between two calls bothers nobody, once it is noticed:
// the next call is on another one.
func TestSocketEndsBetweenCalls(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		for name, cut := range map[string]func(*proxy){"RST": (*proxy).reset, "FIN": (*proxy).finish} {
			t.Run(name, func(t *testing.T) {
				x := newThrough(t, kind)
				l := newLoad(t, x.led)
				for range less(20, 5) {
					x.up(t)
					cut(x.p)
					if !x.cc.WaitForStateChange(patient(t), connectivity.Ready) {
						t.Fatal("the end was not noticed")
					}
					if id, err := l.call(x.cc); err != nil || x.led.started(id) != 1 {
						t.Errorf("the call after it: %v, %d times at a handler", err, x.led.started(id))
					}
				}
			})
		}
	})
}

// Where call and end of the connection cross, the call succeeds or is lost with
// its connection; it reaches a handler once at most.
func TestSocketEndsAsACallBegins(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		for name, cut := range cuts {
			t.Run(name, func(t *testing.T) {
				x := newThrough(t, kind)
				l := newLoad(t, x.led)
				lost := 0
				for i := range less(100, 20) {
					x.up(t)
					ended := make(chan error, 1)
					go func() {
						_, err := l.call(x.cc, grpc.WaitForReady(i%2 == 0))
						ended <- err
					}()
					cut(x.p)
					// A torn link may have nothing to say any more.
					if name == "in a frame" {
						x.p.reset()
					}
					err := <-ended
					if why, _ := callboard.WhyOf(err); err != nil && (status.Code(err) != codes.Unavailable || why.Stage != callboard.Lost) {
						t.Fatalf("call %d ended at stage %v: %v", i, why.Stage, err)
					}
					if err != nil {
						lost++
					}
				}
				l.end()
				x.led.once(t)
				t.Logf("%d calls were lost", lost)
			})
		}
	})
}

// A connection that ends under a call that a handler has seen ends the call, once,
// and nobody sends it again.
func TestSocketEndsUnderACall(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		for name, cut := range map[string]func(*proxy){"RST": (*proxy).reset, "FIN": (*proxy).finish} {
			t.Run(name, func(t *testing.T) {
				x := newThrough(t, kind)
				l := newLoad(t, x.led)
				const calls = 10
				x.up(t)
				already := x.calls.Load()
				type result struct {
					id  string
					err error
				}
				ended := make(chan result, calls)
				for i := range calls {
					go func() {
						ctx, cancel := context.WithTimeout(context.Background(), ample)
						defer cancel()
						id, err := l.invoke(ctx, x.cc, stuck, grpc.WaitForReady(i%2 == 0))
						ended <- result{id, err}
					}()
				}
				comesTo(t, "all are at a handler", func() bool { return x.calls.Load() == already+calls })
				cut(x.p)
				for range calls {
					r := <-ended
					why, _ := callboard.WhyOf(r.err)
					if status.Code(r.err) != codes.Unavailable || why.Stage != callboard.Lost || x.led.started(r.id) != 1 {
						t.Errorf("call %s: stage %v, %v", r.id, why.Stage, r.err)
					}
				}
				comesTo(t, "the handlers hear of it", func() bool { return x.running.Load() == 0 })
				l.end()
				x.up(t)
			})
		}
	})
}

// A connection that ends under a stream ends it as UNAVAILABLE, exactly once,
// behind a prefix of what was sent; and the end of the socket is not taken for
// the end of the stream.
func TestSocketEndsUnderAStream(t *testing.T) {
	eachServer(t, func(t *testing.T, kind string) {
		for name, cut := range cuts {
			for _, closed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, half-closed %v", name, closed), func(t *testing.T) {
					x := newThrough(t, kind)
					for range less(5, 2) {
						x.stream(t, cut, closed)
					}
				})
			}
		}
	})
}

func (x *through) stream(t *testing.T, cut func(*proxy), closed bool) {
	t.Helper()
	ctx, id := x.led.id(patient(t))
	ends := make(chan error, 2)
	cs, err := x.cc.NewStream(ctx, bidi, count, grpc.WaitForReady(true), grpc.OnFinish(func(err error) { ends <- err }))
	if err != nil {
		t.Fatal(err)
	}
	// Far more than windows hold.
	if err := cs.SendMsg(say("10000000")); err != nil {
		t.Fatal(err)
	}
	if closed {
		_ = cs.CloseSend()
	}
	n, err := 0, error(nil)
	for ; err == nil; n++ {
		if n == 100 {
			cut(x.p)
		}
		m := new(text)
		if err = cs.RecvMsg(m); err == nil && m.GetValue() != strconv.Itoa(n) {
			t.Fatalf("message %d is %q", n, m.GetValue())
		}
	}
	why, explained := callboard.WhyOf(err)
	if status.Code(err) != codes.Unavailable || !explained || why.Stage != callboard.Lost {
		t.Errorf("stream %s ended at stage %v: %v", id, why.Stage, err)
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("a stream that was cut looks as if it ended well: %v", err)
	}
	if again := cs.RecvMsg(new(text)); status.Code(again) != codes.Unavailable {
		t.Errorf("a second look at the end: %v", again)
	}
	if first := <-ends; status.Code(first) != codes.Unavailable || len(ends) > 0 {
		t.Errorf("OnFinish: %v, and %d times more", first, len(ends))
	}
	if k := x.led.started(id); k != 1 {
		t.Errorf("it reached a handler %d times", k)
	}
	comesTo(t, "the handler hears of it", func() bool { return x.running.Load() == 0 })
}
