package connfsm

import (
	"testing"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

func TestFloodsAreCut(t *testing.T) {
	next := frame.StreamID(3)
	for _, c := range []struct {
		name string
		role Role
		ev   func(b *bench)
	}{
		{"RST_STREAM received", Server, func(b *bench) {
			b.step(headers(next, true))
			b.step(frame.NewRSTStream(next, frame.Cancel))
			next += 2
		}},
		{"reset by a stream of ours", Server, func(b *bench) { b.step(&Reset{ID: 1}) }},
		{"reset by the machine", Server, func(b *bench) {
			b.step(frame.NewRSTStream(1, frame.Cancel))
			b.step(partial(1, 0, 0))
		}},
		{"PING", Client, func(b *bench) { b.step(&frame.Ping{}) }},
		{"PING ack", Server, func(b *bench) { b.step(&frame.Ping{Ack: true}) }},
		{"SETTINGS", Server, func(b *bench) { b.step(&frame.Settings{}) }},
		{"SETTINGS ack", Server, func(b *bench) { b.step(&frame.Settings{Ack: true}) }},
		{"PRIORITY", Server, func(b *bench) { b.step(&frame.Priority{StreamID: 5, DependsOn: 1}) }},
		{"empty frames", Server, func(b *bench) { b.step(&frame.Glitch{StreamID: 1, What: "empty DATA"}) }},
		{"WINDOW_UPDATE", Server, func(b *bench) { b.step(frame.NewWindowUpdate(0, 0, 1)) }},
		{"unknown frame", Server, func(b *bench) { b.step(&frame.Unknown{Type: 99}) }},
		{"GOAWAY", Server, func(b *bench) { b.step(&frame.GoAway{}) }},
		{"malformed frame", Server, func(b *bench) {
			b.step(&frame.Malformed{Err: &frame.StreamError{StreamID: 1, Code: frame.ProtocolError}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			next = 3
			b := newBench(t, Config{Role: c.role, GlitchBurst: 20, GlitchRate: 10, MaxConcurrentStreams: 100})
			if c.role == Server {
				b.begin(1, false)
			} else {
				b.open("a")
			}
			for i := 0; b.m.State() == StateReady; i++ {
				if i > 30 {
					t.Fatal("never cut")
				}
				c.ev(b)
			}
			b.diff("code", b.code(), frame.EnhanceYourCalm)
			b.diff("linger", b.closing.Linger, errorLinger)
		})
	}
}

func TestGlitchesAtASteadyRateAreTolerated(t *testing.T) {
	b := newBench(t, Config{Role: Client, GlitchBurst: 5, GlitchRate: 10})
	for range 1000 {
		b.now = b.now.Add(100 * time.Millisecond)
		b.step(&frame.Ping{})
	}
	b.diff("state", b.m.State(), StateReady)
	b.diff("counted", b.m.View().Glitches["PING"], uint64(1000))
}

// TestWhatOurDataExplainsIsFree: two WINDOW_UPDATEs per DATA frame, and a PING
// that measures the bandwidth.
func TestWhatOurDataExplainsIsFree(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		b := newBench(t, Config{Role: role, GlitchBurst: 1, GlitchRate: 0})
		for range 100 {
			b.step(&Wrote{DataFrames: 1})
			b.step(frame.NewWindowUpdate(0, 0, 1))
			b.step(frame.NewWindowUpdate(0, 0, 1))
			b.step(&frame.Ping{})
		}
		b.diff("state", b.m.State(), StateReady)
		b.diff("tokens", b.m.View().GlitchTokens, 1)
	}
}

// TestServersResetFreely: a server can only reset what the client opened.
func TestServersResetFreely(t *testing.T) {
	b := newBench(t, Config{Role: Client, GlitchBurst: 1, GlitchRate: 0})
	for range 50 {
		o := b.open("a")
		b.step(headers(o.ID, true))
		b.step(frame.NewRSTStream(o.ID, frame.NoError))
		b.step(&Done{Slot: o.Slot, ID: o.ID})
		b.step(frame.NewRSTStream(o.ID, frame.NoError))
	}
	b.diff("state", b.m.State(), StateReady)
}

func TestGlitchesCanBeSwitchedOff(t *testing.T) {
	b := newBench(t, Config{Role: Client, GlitchBurst: -1})
	for range 5000 {
		b.step(&frame.Ping{})
	}
	b.diff("state", b.m.State(), StateReady)
	b.diff("tokens", b.m.View().GlitchTokens, -1)
}
