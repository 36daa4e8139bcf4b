package balancer

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

const idleTimeout = 4 * time.Minute

func idling(cfg *Config) { cfg.IdleTimeout = idleTimeout }

func (w *world) looks() (at []time.Duration) {
	w.picker0()
	w.mu.Lock()
	defer w.mu.Unlock()
	at, w.unused = w.unused, nil
	return at
}

// RPCs in flight keep a channel in use; streams that are no RPCs do not.
func TestUnused(t *testing.T) {
	for name, aside := range map[string]bool{"an RPC": false, "a health check": true} {
		t.Run(name, func(t *testing.T) {
			balancerTest(t, up(), idling, func(w *world) {
				w.offer("a")
				w.expect(ready)
				ended := func() {}
				if aside {
					k, _, _ := pick(w.picker())
					ended = k.Conn.Aside()
				}
				c := w.call()
				time.Sleep(3 * idleTimeout)
				if n := len(w.looks()); (n > 0) != aside {
					t.Errorf("said to be unused %d times", n)
				}
				c.Cancel(codes.Canceled, "")
				c.Release()
				ended()
				began := time.Since(w.began)
				time.Sleep(2 * idleTimeout)
				at := w.looks()
				if len(at) == 0 {
					t.Fatal("never unused")
				}
				if d := at[0] - began; !aside && (d < idleTimeout || d > idleTimeout*3/2) {
					t.Errorf("unused %v after the last RPC", d)
				}
			})
		})
	}
}

// What connections and subchannels that are gone have served counts as use, but
// only once.
func TestUnusedAfterLosses(t *testing.T) {
	balancerTest(t, up(), func(cfg *Config) { idling(cfg); withPolicy(&oneForAll{})(cfg) }, func(w *world) {
		w.offer("a")
		w.expect(ready)
		c := w.call()
		c.Cancel(codes.Canceled, "")
		c.Release()
		for range 30 { // a server that closes its connections without having served
			_ = w.server().nc.Close()
			time.Sleep(idleTimeout / 10)
		}
		if n := len(w.looks()); n < 2 {
			t.Errorf("said to be unused %d times in three timeouts", n)
		}
	})
}
