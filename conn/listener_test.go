package conn

import (
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
)

// script is a listener that does what it is told.
type script struct {
	mu     sync.Mutex
	asked  []time.Time
	next   chan any // a net.Conn or an error
	closed chan struct{}
	once   sync.Once
}

func newScript() *script {
	return &script{next: make(chan any, 100), closed: make(chan struct{})}
}

func (s *script) Accept() (net.Conn, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	s.mu.Unlock()
	select {
	case v := <-s.next:
		if nc, ok := v.(net.Conn); ok {
			return nc, nil
		}
		return nil, v.(error)
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *script) Close() error   { s.once.Do(func() { close(s.closed) }); return nil }
func (s *script) Addr() net.Addr { return pipeAddr("script") }

type tooManyFiles struct{}

func (tooManyFiles) Error() string   { return "too many open files" }
func (tooManyFiles) Temporary() bool { return true }

func listen(r *rig, lis net.Listener, set func(*Config)) actors.Ref[any] {
	var ref actors.Ref[any]
	m := &spawnAny{done: make(chan struct{}), do: func(ctx actor.Context) {
		var err error
		ref, err = Listen(ctx, "listener-a", ListenerConfig{
			Listener: lis, Parent: actors.Self[any](ctx), Table: r.table,
			Conn: func(net.Conn) (Config, bool) {
				cfg := serverConfig(Config{Handler: &handlers{r: r, f: echo}})
				if set != nil {
					set(&cfg)
				}
				return cfg, true
			},
		})
		if err != nil {
			r.Error(err)
		}
	}}
	r.parent.Tell(m)
	<-m.done
	return ref
}

// Passing errors make the accept loop pause, longer each time, and start anew
// after a success.
func TestAcceptBacksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := newGuardian(t)
		s := newScript()
		for range 10 {
			s.next <- tooManyFiles{}
		}
		ref := listen(r, s, nil)
		time.Sleep(10 * time.Second)
		var pauses []time.Duration
		s.mu.Lock()
		for i := 1; i < len(s.asked); i++ {
			pauses = append(pauses, s.asked[i].Sub(s.asked[i-1]))
		}
		s.mu.Unlock()
		ms := time.Millisecond
		want := []time.Duration{5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		ref.Tell(&StopAccepting{})
		synctest.Wait()
		if !slices.Contains(r.guard.said(), "listener down <nil>") {
			t.Errorf("heard %v", r.guard.said())
		}
		ref.Stop()
		r.finish()
	})
}

func TestListenerReportsItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := newGuardian(t)
		s := newScript()
		s.next <- errors.New("the network is gone")
		ref := listen(r, s, nil)
		synctest.Wait()
		if !slices.Contains(r.guard.said(), "listener down the network is gone") {
			t.Errorf("heard %v", r.guard.said())
		}
		ref.Stop()
		r.finish()
	})
}

// Connections outlive the accept loop, and end when they are told.
func TestListenerAndItsConnections(t *testing.T) {
	ends := map[string]any{"drain": &DrainAll{Reason: "enough"}, "close": &CloseAll{Reason: "enough"}, "stop": nil}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, r := newGuardian(t)
				s := newScript()
				ref := listen(r, s, nil)
				var clients []Ref
				for _, name := range []string{"one", "two"} {
					a, b := pipe(1 << 16)
					s.next <- net.Conn(b)
					cfg := Config{NC: a, Table: r.table}
					cfg.Stream.InitialWindow = 65535
					cfg.Machine.HandshakeTimeout = -1
					clients = append(clients, r.spawn(name, cfg))
				}
				synctest.Wait()
				for _, want := range []string{"test/listener-a/conn-1", "test/listener-a/conn-2/loopy", "test/listener-a/conn-2/reader"} {
					if r.table.Find(want) == nil {
						t.Errorf("no actor %s", want)
					}
				}
				ref.Tell(&StopAccepting{})
				for _, c := range clients {
					r.client = c
					u := r.unary("/a.B/Unary", "x")
					if err := u.Wait(within()); err != nil || u.Status() != nil {
						t.Errorf("after accepting has stopped: %v %v", err, u.Status())
					}
					u.Release()
				}
				if end != nil {
					ref.Tell(end)
				} else {
					ref.Stop()
				}
				synctest.Wait()
				for _, c := range clients {
					if c.Up() {
						t.Error("a client's connection is still up")
					}
				}
				r.client = Ref{}
				time.Sleep(2 * time.Second)
				if n := r.table.Len(); end != nil && n != 2 || end == nil && n != 1 {
					t.Errorf("%d actors are left", n)
				}
				ref.Stop()
				r.finish()
			})
		})
	}
}

// A connection whose actors panic leaves the listener and its other
// connections alone.
func TestListenerSurvivesItsConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := newGuardian(t)
		s := newScript()
		ref := listen(r, s, nil)
		a, b := pipe(1 << 16)
		s.next <- net.Conn(b)
		synctest.Wait()
		b.in.change(func() { b.in.panics = true })
		synctest.Wait()
		if r.table.Find("test/listener-a/conn-1") != nil {
			t.Error("the connection lives on")
		}
		if p := r.table.Find("test/listener-a"); p == nil || p.State() != "accepting" || p.LastFailure() != nil {
			t.Error("the listener does not")
		}
		_ = a.Close()
		ref.Stop()
		r.finish()
	})
}

// A socket that was accepted as the listener stopped is closed.
func TestLateSocketIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := newGuardian(t)
		s := newScript()
		ref := listen(r, s, nil)
		synctest.Wait()
		ref.Stop()
		<-ref.Probe().Done()
		a, b := pipe(1 << 16)
		ref.Tell(&accepted{nc: b})
		if _, err := a.Read(make([]byte, 1)); err == nil {
			t.Error("read from nobody")
		}
		_ = a.Close()
		r.finish()
	})
}
