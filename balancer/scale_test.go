package balancer

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/stream"
)

func scaled(n int) func(*Config) { return func(cfg *Config) { cfg.MaxConns = n } }

// calls opens calls; those that are refused because there is a better place are
// tried again, as RPCs do.
func (w *world) calls(n int) (open []*stream.Call) {
	w.Helper()
	for range n {
		open = append(open, w.call())
	}
	for range 100 {
		w.picker0()
		again := false
		for i, c := range open {
			if c.Status() != nil && !c.Opened() {
				c.Release()
				open[i], again = w.call(), true
			}
		}
		if !again {
			break
		}
	}
	return open
}

func finish(cs []*stream.Call) {
	for _, c := range cs {
		c.Cancel(codes.Canceled, "")
		c.Release()
	}
}

// Connections are opened as streams need them, within the bound, and those that
// the others can do without are closed.
func TestScale(t *testing.T) {
	balancerTest(t, up(), scaled(3), func(w *world) {
		w.streams = 2
		w.offer("a")
		w.expect(ready)
		var open []*stream.Call
		for i, want := range []int{1, 1, 2, 2, 3, 3, 3} {
			open = append(open, w.calls(1)...)
			time.Sleep(10 * time.Millisecond)
			if w.picker0(); len(w.servers) != want {
				t.Errorf("%d connections for %d streams, want %d", len(w.servers), i+1, want)
			}
		}
		waiting := 0
		for _, c := range open {
			if c.Status() == nil && !c.Opened() {
				waiting++
			}
		}
		if waiting != 1 {
			t.Errorf("%d calls wait, want the one too many", waiting)
		}
		finish(open)
		time.Sleep(5 * time.Minute)
		if n := w.table.Len(); n > 8 {
			t.Errorf("%d actors: surplus connections live on", n)
		}
		w.expectStates(connecting, ready)
	})
}

// A further connection that cannot be had costs the subchannel nothing.
func TestScaleFails(t *testing.T) {
	for _, how := range []string{"refused", "hangs", "silent"} {
		t.Run(how, func(t *testing.T) {
			balancerTest(t, up(), scaled(2), func(w *world) {
				w.streams = 1
				w.offer("a")
				w.expect(ready)
				w.set("a", how)
				open := w.calls(2)
				time.Sleep(time.Minute)
				w.expectStates(connecting, ready)
				if n := len(w.took()); n < 3 || n > 12 {
					t.Errorf("%d dials in a minute", n)
				}
				w.set("a", "up")
				time.Sleep(3 * time.Minute)
				w.picker0()
				again := 0
				for _, c := range open {
					if c.Status() != nil {
						again++
					}
				}
				if again != 1 {
					t.Errorf("%d calls were sent elsewhere, want the one that waited", again)
				}
				finish(open)
			})
		})
	}
}

// The loss of one of several connections is no change of state.
func TestScaleLosesOne(t *testing.T) {
	balancerTest(t, up(), scaled(2), func(w *world) {
		w.streams = 1
		w.offer("a")
		w.expect(ready)
		open := w.calls(2)
		w.picker0()
		_ = w.servers[0].nc.Close()
		w.expectStates(connecting, ready)
		if _, ok, _ := pick(w.picker()); !ok {
			t.Error("nothing to pick")
		}
		if f := w.lastFailure(); f.Epoch == 0 {
			t.Errorf("failure %+v", f)
		}
		_ = w.servers[1].nc.Close()
		w.expect(idle)
		finish(open)
	})
}

// A further connection that was under way when a health check failed is no
// reason never to try for one again.
func TestScaleAfterIllHealth(t *testing.T) {
	c, name := &checks{}, "s"
	balancerTest(t, up(), func(cfg *Config) { cfg.MaxConns, cfg.Health = 2, c.health }, func(w *world) {
		w.use(roundRobin)
		w.service, w.streams = &name, 1
		w.offer("a")
		c.say(w, ready)
		w.expect(ready)
		w.set("a", "hangs")
		open := []*stream.Call{w.call(), w.call()}
		c.say(w, failure)
		w.expect(failure)
		time.Sleep(time.Minute)
		w.set("a", "up")
		c.say(w, ready)
		time.Sleep(time.Minute)
		if w.picker0(); len(w.servers) != 2 {
			t.Errorf("%d connections, want one for the call that waits", len(w.servers))
		}
		finish(open)
	})
}

// What a supervisor is told of a further connection is about that one: an earlier
// one's GOAWAY is not, nor a row of failures that there never was.
func TestLossOfAFurtherConnection(t *testing.T) {
	balancerTest(t, up(), scaled(3), func(w *world) {
		w.streams = 1
		w.offer("a")
		w.expect(ready)
		open := w.calls(3)
		time.Sleep(time.Second)
		w.picker0()
		w.servers[0].goAway(0, http2.ErrCodeNo, "maintenance")
		if f := w.lastFailure(); f.GoAway == nil || f.Kind != conn.PeerGoAway || f.Window != 0 || f.Count != 1 {
			t.Errorf("of the GOAWAY: %+v", f)
		}
		_ = w.servers[1].nc.Close()
		if f := w.lastFailure(); f.GoAway != nil || f.Kind != conn.PeerGone || f.Window != 0 || f.Count != 1 {
			t.Errorf("of the loss: %+v", f)
		}
		finish(open)
	})
}
