package connfsm

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func pingsIn(fx *Effects) (out []*frame.Ping) {
	for _, c := range fx.Control {
		if p, ok := c.(*frame.Ping); ok && !p.Ack {
			out = append(out, p)
		}
	}
	return out
}

func TestPingIsAnswered(t *testing.T) {
	b := newBench(t, Config{Role: Client})
	fx := b.step(&frame.Ping{Data: [8]byte{1, 2}})
	b.diff("control", fx.Control, []frame.Control{&frame.Ping{Ack: true, Data: [8]byte{1, 2}}})
	fx = b.step(&frame.Ping{Ack: true, Data: [8]byte{1, 2}})
	b.diff("answer to an ack", len(fx.Control), 0)
}

func TestClientKeepalive(t *testing.T) {
	k := Keepalive{Time: 10 * time.Second, Timeout: 3 * time.Second}
	t.Run("silent peer", func(t *testing.T) {
		b := newBench(t, Config{Role: Client, Keepalive: k})
		o := b.open("a")
		b.diff("pings", len(pingsIn(b.pass(10*time.Second-1))), 0)
		b.diff("pings", len(pingsIn(b.pass(1))), 1)
		fx := b.pass(3 * time.Second)
		b.diff("state", b.m.State(), StateClosing)
		b.diff("gone", len(fx.Gone), 1)
		b.diff("code", fx.Gone[0].Code, codes.Unavailable)
		b.diff("slot", fx.Gone[0].Slot, o.Slot)
	})
	t.Run("any frame is a sign of life", func(t *testing.T) {
		b := newBench(t, Config{Role: Client, Keepalive: k})
		b.open("a")
		b.pass(9 * time.Second)
		b.step(headers(1, false))
		b.diff("pings", len(pingsIn(b.pass(9*time.Second))), 0)
		b.diff("pings", len(pingsIn(b.pass(time.Second))), 1)
		b.step(partial(1, 1, 1))
		b.pass(9 * time.Second)
		b.diff("state", b.m.State(), StateReady)
	})
	t.Run("round trip time", func(t *testing.T) {
		b := newBench(t, Config{Role: Client, Keepalive: k})
		b.open("a")
		p := pingsIn(b.pass(10 * time.Second))[0]
		b.now = b.now.Add(40 * time.Millisecond)
		b.step(&frame.Ping{Ack: true, Data: p.Data})
		b.diff("rtt", b.m.View().PingRTT, 40*time.Millisecond)
		b.diff("glitches", len(b.m.View().Glitches), 0)
	})
	t.Run("rests without streams", func(t *testing.T) {
		b := newBench(t, Config{Role: Client, Keepalive: k})
		b.diff("pings", len(pingsIn(b.pass(time.Hour))), 0)
		b.open("a") // after long silence the PING is due at once
		b.diff("pings", len(pingsIn(b.pass(0))), 1)
	})
	t.Run("goes on without streams if permitted", func(t *testing.T) {
		k := k
		k.PermitWithoutStream = true
		b := newBench(t, Config{Role: Client, Keepalive: k})
		b.diff("pings", len(pingsIn(b.pass(10*time.Second))), 1)
	})
	t.Run("off by default", func(t *testing.T) {
		b := newBench(t, Config{Role: Client})
		b.open("a")
		b.diff("pings", len(pingsIn(b.pass(24*time.Hour))), 0)
	})
}

func TestServerKeepalive(t *testing.T) {
	b := newBench(t, Config{Role: Server})
	b.diff("pings", len(pingsIn(b.pass(2*time.Hour))), 1)
	b.pass(20 * time.Second)
	b.diff("state", b.m.State(), StateClosing)
}

func TestPingEnforcement(t *testing.T) {
	ping := func(b *bench, after time.Duration) {
		b.now = b.now.Add(after)
		b.step(&frame.Ping{})
	}
	e := Enforcement{MinTime: time.Minute}
	t.Run("two strikes are forgiven", func(t *testing.T) {
		b := newBench(t, Config{Role: Server, Enforcement: e})
		b.begin(1, true)
		for range 3 {
			ping(b, time.Second)
		}
		b.diff("state", b.m.State(), StateReady)
		ping(b, time.Second)
		b.diff("code", b.code(), frame.EnhanceYourCalm)
		g := b.fx.Control[1].(*frame.GoAway)
		b.diff("debug data", string(g.Debug), "too_many_pings")
		b.diff("linger", b.fx.Closing.Linger, errorLinger)
	})
	t.Run("none at the permitted pace", func(t *testing.T) {
		b := newBench(t, Config{Role: Server, Enforcement: e})
		b.begin(1, true)
		for range 10 {
			ping(b, time.Minute)
		}
		b.diff("strikes", b.m.View().Strikes, 0)
	})
	t.Run("data of ours clears them", func(t *testing.T) {
		b := newBench(t, Config{Role: Server, Enforcement: e})
		b.begin(1, true)
		for range 20 {
			ping(b, time.Millisecond)
			ping(b, time.Millisecond)
			b.step(&Wrote{Headers: 1})
		}
		b.diff("state", b.m.State(), StateReady)
	})
	t.Run("without streams two hours are the pace", func(t *testing.T) {
		b := newBench(t, Config{Role: Server, Enforcement: e})
		for range 4 {
			ping(b, 10*time.Minute)
		}
		b.diff("state", b.m.State(), StateClosing)
		e := e
		e.PermitWithoutStream = true
		b = newBench(t, Config{Role: Server, Enforcement: e})
		for range 4 {
			ping(b, 10*time.Minute)
		}
		b.diff("state", b.m.State(), StateReady)
	})
	t.Run("not on clients", func(t *testing.T) {
		b := newBench(t, Config{Role: Client})
		for range 10 {
			ping(b, time.Second)
		}
		b.diff("state", b.m.State(), StateReady)
	})
}

func TestLifeLimits(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		b := newBench(t, Config{Role: Server, MaxIdle: time.Minute})
		b.pass(30 * time.Second)
		s := b.begin(1, true)
		b.pass(5 * time.Minute)
		b.step(&Done{Slot: s, ID: 1})
		b.pass(time.Minute - 1)
		b.diff("state", b.m.State(), StateReady)
		fx := b.pass(1)
		b.diff("goaway", string(fx.Control[0].(*frame.GoAway).Debug), "max_idle")
		b.diff("state", b.m.State(), StateDraining)
	})
	t.Run("age and grace", func(t *testing.T) {
		b := newBench(t, Config{Role: Server, MaxAge: time.Hour, AgeGrace: time.Minute, Keepalive: Keepalive{Time: -1}})
		b.begin(1, true)
		b.pass(time.Hour - 1)
		b.diff("state", b.m.State(), StateReady)
		b.pass(1)
		b.diff("state", b.m.State(), StateDraining)
		b.pass(time.Minute - 1)
		b.diff("state", b.m.State(), StateDraining)
		b.diff("gone", len(b.pass(1).Gone), 1)
		b.diff("state", b.m.State(), StateClosing)
	})
}

// TestTimersAreLazy: frames move deadlines, but not the timer.
func TestTimersAreLazy(t *testing.T) {
	b := newBench(t, Config{Role: Server, MaxIdle: time.Minute})
	for id := frame.StreamID(1); id < 100; id += 2 {
		b.now = b.now.Add(time.Millisecond)
		s := b.begin(id, true)
		b.step(&Done{Slot: s, ID: id})
		if !b.fx.Timer.IsZero() {
			t.Fatalf("stream %v moved the timer to %v", id, b.fx.Timer)
		}
	}
	b.diff("the old tick finds nothing due", b.step(&Tick{}).Timer, b.now.Add(time.Minute))
}
