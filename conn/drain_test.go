package conn

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/stream"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// A drained connection serves what it has begun, refuses what comes, and goes.
func TestDrain(t *testing.T) {
	sides := map[string]func(*rig){
		"by the server": func(r *rig) { r.server.Drain("maintenance") },
		"by the client": func(r *rig) { r.client.Drain("maintenance") },
	}
	for name, drain := range sides {
		t.Run(name, func(t *testing.T) {
			pairTest(t, withEcho, func(r *rig) {
				c := r.stream("/a.B/Stream")
				if err := c.WaitOpened(within()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				drain(r)
				synctest.Wait()
				if r.client.Up() {
					t.Error("the client's connection still takes calls")
				}
				d := r.unary("/a.B/Unary", "late")
				if got := r.settled(d); got != codes.Unavailable || !d.Outcome().Unprocessed {
					t.Errorf("late call: %v", d.Status())
				}
				if !strings.Contains(d.Status().Message(), "maintenance") {
					t.Errorf("the status does not say why: %v", d.Status())
				}
				d.Release()
				for _, m := range []string{"one", "two"} {
					if err := c.Send(wire(m), m == "two", within()); err != nil {
						t.Error(err)
					}
				}
				got, err := all(c, within())
				if d := cmp.Diff([]string{"one", "two"}, got); err != nil || d != "" {
					t.Errorf("%v %s", err, d)
				}
				if c.Status().Code() != codes.OK {
					t.Errorf("status %v", c.Status())
				}
				c.Release()
				r.gone()
				heard := r.guard.said()
				for _, want := range []string{"ready client", "goaway client", "down client", "down server"} {
					if n := count(heard, want); n != 1 {
						t.Errorf("heard %q %d times: %v", want, n, heard)
					}
				}
			})
		})
	}
}

func count(list []string, s string) (n int) {
	for _, e := range list {
		if e == s {
			n++
		}
	}
	return n
}

// A peer that does not read cannot keep a closed connection.
func TestCloseDoesNotWaitForItsPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := newGuardian(t)
		nc, peer := pipe(64)
		cfg := Config{NC: nc, Table: r.table}
		cfg.Stream.InitialWindow = 65535
		cfg.Machine.HandshakeTimeout = -1
		ref := r.spawn("client", cfg)
		synctest.Wait()
		began := time.Now()
		ref.Close("enough", nil)
		<-ref.Probe().Done()
		if d := time.Since(began); d > time.Second {
			t.Errorf("closing took %v", d)
		}
		_ = peer.Close()
		r.finish()
	})
}

// Later events of an RPC that is over do not touch the slot's next one.
func TestLateEventsOfAnEarlierCall(t *testing.T) {
	pairTest(t, withEcho, func(r *rig) {
		var old []*stream.Call
		for i := range 20 {
			synctest.Wait() // the slot is free again
			c := r.stream("/a.B/Stream")
			if err := c.WaitOpened(within()); err != nil {
				t.Fatal(err)
			}
			late := func() {
				for j, o := range old {
					// What an application may do that does not know yet, and what is
					// under way when it ends.
					slot := r.table.Find("test/client/stream-0").Mailbox()
					id := frame.StreamID(2*j + 1)
					slot.PostUserMessage(&streamfsm.Send{StreamID: id, Payload: wire("late"), EndStream: true})
					slot.PostUserMessage(&streamfsm.Cancel{StreamID: id, Code: codes.Aborted})
					slot.PostUserMessage(&streamfsm.Lost{StreamID: id})
					o.Cancel(codes.Aborted, "late")
					_ = o.Send(wire("late"), true, within())
					o.CloseSend()
				}
			}
			late()
			if err := c.Send(wire("mine"), false, within()); err != nil {
				t.Error(err)
			}
			late()
			c.CloseSend()
			got, err := all(c, within())
			if err != nil || len(got) != 1 || got[0] != "mine" || c.Status().Code() != codes.OK {
				t.Fatalf("call %d: %v %v %v", i, got, err, c.Status())
			}
			old = append(old, c)
		}
		for _, c := range old {
			c.Release()
		}
		synctest.Wait()
		if r.table.Find("test/client/stream-1") != nil {
			t.Error("one call at a time took more than one slot")
		}
	})
}

// A handshake that does not succeed leaves nothing, and the parent hears why.
func TestHandshakeFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, r := newGuardian(t)
		nc, peer := pipe(1 << 10)
		why := errors.New("no common cipher")
		cfg := Config{NC: nc, Table: r.table}
		cfg.Handshake = func(net.Conn) (net.Conn, credentials.AuthInfo, error) { return nil, nil, why }
		ref := r.spawn("server", serverConfig(cfg))
		<-ref.Probe().Done()
		synctest.Wait()
		if err := g.down("server"); !errors.Is(err, why) {
			t.Errorf("down because of %v", err)
		}
		if n, err := peer.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("the socket is still open: %d %v", n, err)
		}
		_ = peer.Close()
		r.finish()
	})
}

// Nobody waits for ever for a client that says nothing.
func TestSilentClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, r := newGuardian(t)
		nc, peer := pipe(1 << 10)
		began := time.Now()
		ref := r.spawn("server", serverConfig(Config{NC: nc, Table: r.table}))
		<-ref.Probe().Done()
		if d := time.Since(began); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("gave up after %v", d)
		}
		synctest.Wait()
		if err := g.down("server"); err == nil {
			t.Error("down without a cause")
		}
		_ = peer.Close()
		r.finish()
		if heard := g.said(); !slices.Contains(heard, "down server") {
			t.Errorf("heard %v", heard)
		}
	})
}
