package safety_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// text is the wire octets of a message with a text in it.
func text(t testing.TB, s string) []byte {
	t.Helper()
	b, err := marshal(wrapperspb.Bytes([]byte(s)))
	if err != nil {
		t.Fatal(err)
	}
	return testpeer.Message(b)
}

// A server that dies in the middle of a stream: one status, and what was
// received is a prefix of what was sent.
func TestServerDiesMidStream(t *testing.T) {
	for name, die := range map[string]func(p *testpeer.Peer){
		"FIN":            func(p *testpeer.Peer) { p.Close() },
		"RST":            func(p *testpeer.Peer) { p.ResetTCP() },
		"in a frame":     func(p *testpeer.Peer) { p.Raw(testpeer.FrameHeader(100, http2.FrameData, 0, 1)); p.Close() },
		"in a message":   func(p *testpeer.Peer) { p.Data(1, testpeer.Prefix(0, 100)); p.Close() },
		"GOAWAY and FIN": func(p *testpeer.Peer) { p.GoAway(1, http2.ErrCodeInternal, "dying\r\n"); p.Close() },
		"garbage":        func(p *testpeer.Peer) { p.Raw([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")); p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			scripts(l, func(p *testpeer.Peer) {
				p.Handshake()
				id := p.ExpectRequest().ID
				p.Headers(id, testpeer.Response()...)
				for i := range 20 {
					p.Data(id, text(t, fmt.Sprint(i)))
				}
				p.ExpectAlive()
				die(p)
			}, serveAll(t, 1))
			c := call(t, l.Addr())
			var finished atomic.Int32
			cs := c.stream(deadline(t), chat, grpc.OnFinish(func(error) { finished.Add(1) }))
			got, err := drain(cs)
			wants(t, err, codes.Unavailable)
			for i, m := range got {
				if m != fmt.Sprint(i) {
					t.Fatalf("message %d is %q", i, m)
				}
			}
			if again := cs.RecvMsg(new(bytesValue)); status.Code(again) != codes.Unavailable {
				t.Errorf("a second look at the end: %v", again)
			}
			if n := finished.Load(); n != 1 {
				t.Errorf("it ended %d times", n)
			}
			// The channel connects anew.
			if err := within(t, c.start(deadline(t), grpc.WaitForReady(true)), 2*soon); err != nil {
				t.Error(err)
			}
		})
	}
}

// Calls that fail fast do, those that wait for the server find it when it is
// back.
func TestServerGoesAndComesBack(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	_ = lis.Close()
	c := call(t, addr, callboard.WithConnectParams(fastReconnect))
	wants(t, within(t, c.start(deadline(t)), soon), codes.Unavailable, "refused")
	patient := c.start(deadline(t), grpc.WaitForReady(true))
	short, cancel := contextFor(awhile)
	defer cancel()
	wants(t, within(t, c.start(short, grpc.WaitForReady(true)), soon), codes.DeadlineExceeded, "refused")
	if lis, err = net.Listen("tcp", addr); err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	sys := system(t)
	srv := sys.NewServer()
	srv.RegisterService(newProbe().desc(), nil)
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	if err := within(t, patient, 2*soon); err != nil {
		t.Error(err)
	}
}

// A connection that ends between two calls: the next one is not bothered.
func TestConnectionEndsBetweenCalls(t *testing.T) {
	for name, end := range map[string]func(p *testpeer.Peer){
		"FIN": func(p *testpeer.Peer) { p.Close() },
		"RST": func(p *testpeer.Peer) { p.ResetTCP() },
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			ended := make(chan struct{})
			scripts(l, func(p *testpeer.Peer) {
				serveAll(t, 1)(p)
				end(p)
				close(ended)
			}, serveAll(t, 1))
			c := call(t, l.Addr())
			if err := within(t, c.start(deadline(t)), soon); err != nil {
				t.Fatal(err)
			}
			<-ended
			if !eventually(func() bool { return count(c.sys, "conn") == 0 }) {
				t.Fatalf("the end was not noticed\n%v", c.sys.Inspect())
			}
			if err := within(t, c.start(deadline(t)), soon); err != nil {
				t.Errorf("the call after it: %v", err)
			}
		})
	}
}

// What a server says it never looked at is sent once more, on another
// connection, and no further.
func TestTransparentRetry(t *testing.T) {
	for name, refuse := range map[string]func(p *testpeer.Peer, id uint32){
		"GOAWAY below the id": func(p *testpeer.Peer, id uint32) { p.GoAway(id-1, http2.ErrCodeNo, "") },
		"GOAWAY of 0":         func(p *testpeer.Peer, _ uint32) { p.GoAway(0, http2.ErrCodeNo, "") },
		"REFUSED_STREAM":      func(p *testpeer.Peer, id uint32) { p.RST(id, http2.ErrCodeRefusedStream) },
	} {
		for _, kind := range []string{"unary", "streaming"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				l := testpeer.Listen(t)
				var bodies sync.Map
				attempts := func(p *testpeer.Peer, last bool) {
					q := p.ExpectRequest()
					if got := q.Fields.Get("grpc-previous-rpc-attempts"); got != "" {
						t.Errorf("the retry is counted: %s", got)
					}
					bodies.Store(p, string(p.ExpectMessage(q.ID)))
					if last {
						reply(t, p, q.ID)
						return
					}
					refuse(p, q.ID)
				}
				if name == "REFUSED_STREAM" { // the connection is as good as before
					scripts(l, func(p *testpeer.Peer) {
						p.Handshake()
						attempts(p, false)
						attempts(p, true)
					})
				} else {
					scripts(l, func(p *testpeer.Peer) {
						p.Handshake()
						attempts(p, false)
					}, func(p *testpeer.Peer) {
						p.Handshake()
						attempts(p, true)
					})
				}
				c := call(t, l.Addr())
				if kind == "unary" {
					if err := within(t, c.start(deadline(t)), soon); err != nil {
						t.Error(err)
					}
				} else {
					cs := c.stream(deadline(t), chat)
					if err := cs.SendMsg(wrapperspb.Bytes([]byte("hello"))); err != nil {
						t.Error(err)
					}
					_ = cs.CloseSend()
					if got, err := drain(cs); err != nil || len(got) != 1 {
						t.Errorf("%d messages, %v", len(got), err)
					}
				}
				bodies.Range(func(_, b any) bool {
					if b != "\n\x05hello" {
						t.Errorf("an attempt carried %q", b)
					}
					return true
				})
			})
		}
	}
	t.Run("not for ever", func(t *testing.T) {
		l := testpeer.Listen(t)
		var seen atomic.Int32
		l.Script(func(p *testpeer.Peer) {
			p.Handshake()
			for range 2 {
				id := p.ExpectRequest().ID
				seen.Add(1)
				p.RST(id, http2.ErrCodeRefusedStream)
			}
			p.ExpectNothing(5, awhile)
		})
		c := call(t, l.Addr())
		wants(t, within(t, c.start(deadline(t)), soon), codes.Unavailable)
		if n := seen.Load(); n != 2 {
			t.Errorf("%d attempts", n)
		}
	})
	t.Run("not once it was processed", func(t *testing.T) {
		l := testpeer.Listen(t)
		l.Script(func(p *testpeer.Peer) {
			p.Handshake()
			id := p.ExpectRequest().ID
			p.Headers(id, testpeer.Response()...)
			p.RST(id, http2.ErrCodeRefusedStream)
			p.ExpectNothing(3, awhile)
		})
		c := call(t, l.Addr())
		wants(t, within(t, c.start(deadline(t)), soon), codes.Unavailable)
	})
	t.Run("not when the socket breaks under it", func(t *testing.T) {
		l := testpeer.Listen(t)
		l.Script(func(p *testpeer.Peer) {
			p.Handshake()
			p.ExpectRequest()
			p.ResetTCP()
		})
		c := call(t, l.Addr())
		wants(t, within(t, c.start(deadline(t)), soon), codes.Unavailable)
	})
}

// After GOAWAY what is in flight finishes, and what is new goes elsewhere.
func TestGoAwayLetsFinish(t *testing.T) {
	l := testpeer.Listen(t)
	said, finish := make(chan struct{}), make(chan struct{})
	old := make(chan struct{})
	scripts(l, func(p *testpeer.Peer) {
		defer close(old)
		p.Handshake()
		id := p.ExpectRequest().ID
		p.GoAway(1<<31-1, http2.ErrCodeNo, "")
		p.GoAway(id, http2.ErrCodeNo, "")
		p.ExpectAlive()
		close(said)
		<-finish
		p.ExpectNothing(id+2, 0)
		reply(t, p, id)
		p.ExpectClosed(soon)
	}, serveAll(t, 1))
	c := call(t, l.Addr())
	first := c.start(deadline(t))
	<-said
	if err := within(t, c.start(deadline(t)), soon); err != nil {
		t.Errorf("the new call: %v", err)
	}
	close(finish)
	if err := within(t, first, soon); err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	<-old
}

// Nothing comes any more: deadlines fire on time, cancellation works.
func TestBlackhole(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(p *testpeer.Peer){
		"before SETTINGS":  func(p *testpeer.Peer) { p.ExpectPreface() },
		"before an answer": func(p *testpeer.Peer) { p.Handshake(); p.ExpectRequest() },
		"reads nothing":    func(p *testpeer.Peer) { p.Handshake(); p.StopReading() },
		"within an answer": func(p *testpeer.Peer) { p.Handshake(); p.Headers(p.ExpectRequest().ID, testpeer.Response()...) },
		"within a message": func(p *testpeer.Peer) {
			p.Handshake()
			id := p.ExpectRequest().ID
			p.Headers(id, testpeer.Response()...)
			p.Data(id, testpeer.Prefix(0, 99))
		},
		"within a header": func(p *testpeer.Peer) { p.Handshake(); p.OpenHeaders(p.ExpectRequest().ID, nil, false) },
		"without any window": func(p *testpeer.Peer) {
			p.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			p.ExpectRequest()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := testpeer.Listen(t)
			l.Script(script)
			c := call(t, l.Addr())
			const limit = 300 * time.Millisecond
			ctx, cancel := contextFor(limit)
			defer cancel()
			began := time.Now()
			wants(t, within(t, c.start(ctx), soon), codes.DeadlineExceeded)
			took := time.Since(began)
			if took < limit || took > limit+onTime {
				t.Errorf("ended after %v, the deadline was %v", took, limit)
			}
			ctx, stop := context.WithCancel(context.Background())
			ended := c.start(ctx, grpc.WaitForReady(true))
			time.AfterFunc(20*time.Millisecond, stop)
			wants(t, within(t, ended, soon), codes.Canceled)
		})
	}
}

// onTime is how late a deadline may fire: 50 ms, and what a busy machine with
// the race detector adds.
const onTime = 50*time.Millisecond + 200*time.Millisecond

// Deadlines are the server's, too.
func TestServerDeadline(t *testing.T) {
	s := serve(t)
	p := testpeer.Dial(t, s.addr)
	p.Handshake()
	began := time.Now()
	p.Headers(1, testpeer.Request(hold).With("grpc-timeout", "200m")...)
	p.ExpectTrailers(1, codes.OK, codes.DeadlineExceeded) // as the handler says; hold says OK
	if took := time.Since(began); took < 190*time.Millisecond || took > 200*time.Millisecond+onTime {
		t.Errorf("the handler's context ended after %v", took)
	}
	s.settled(0)
}

// A client that reads nothing of a large response holds no more than its
// windows.
func TestSlowClientIsBounded(t *testing.T) {
	s := serve(t)
	c := call(t, s.addr)
	before := held()
	var all []grpc.ClientStream
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		cs := c.stream(ctx, pour)
		if err := cs.SendMsg(wrapperspb.Bytes(make([]byte, 60_000))); err != nil {
			t.Fatal(err)
		}
		all = append(all, cs)
	}
	s.settled(len(all))
	var last int64
	eventually(func() bool {
		now := s.poured.Load()
		stuck := now == last && now > 0
		last = now
		return stuck && quietFor(s, awhile)
	})
	if grown := held() - before; grown > 24<<20 {
		t.Errorf("%d octets are held for one slow client", grown)
	}
	// It was only slow: what it asks for it gets.
	for range 30 {
		for _, cs := range all {
			if err := cs.RecvMsg(new(bytesValue)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
