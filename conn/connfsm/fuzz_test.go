package connfsm

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// FuzzHostilePeer steps both roles on anything a peer can say, in between what
// our side does. Nothing may panic, and a connection that a breach has ended
// stays ended.
func FuzzHostilePeer(f *testing.F) {
	f.Add(false, []byte{0, 1, 0, 0, 0, 0, 0, 1, 5, 0, 1, 3, 0, 9})
	f.Add(true, []byte{13, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1, 200, 200, 0, 14, 1, 0, 0, 0})
	f.Add(true, []byte{1, 0, 1, 0, 0, 2, 0, 1, 255, 255, 3, 0, 1, 0, 8, 14, 0, 0, 0, 0, 16, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, server bool, script []byte) {
		cfg := Config{
			Role: Client, ConnWindow: 65535, MaxConnWindow: 131070, GlitchBurst: 50, LastID: 41,
			Keepalive: Keepalive{Time: time.Minute}, MaxIdle: 10 * time.Minute, MaxAge: time.Hour, AgeGrace: time.Minute,
		}
		if server {
			cfg.Role, cfg.MaxConcurrentStreams = Server, 3
		}
		b := newBench(t, cfg)
		for ref := 0; len(script) >= 5; ref++ {
			what, id := script[0], frame.StreamID(binary.BigEndian.Uint16(script[1:]))
			n := binary.BigEndian.Uint16(script[3:])
			script = script[5:]
			b.hostile(what, id, n, ref)
			var ce *frame.ConnError
			if b.err != nil && !errors.As(b.err, &ce) {
				t.Fatalf("error %T", b.err)
			}
			if b.err != nil && !b.m.State().over() {
				t.Fatalf("state %v after %v", b.m.State(), b.err)
			}
		}
	})
}

// hostile performs one instruction: a frame of the peer's, or an event of ours
// that is legal in the state the machine is in.
func (b *bench) hostile(what byte, id frame.StreamID, n uint16, ref int) {
	end := n&1 != 0
	switch what % 22 {
	case 0, 1:
		b.step(headers(id, end))
	case 2, 3:
		d := partial(id, int(n), int(n%7))
		d.EndStream = end
		b.step(d)
	case 4:
		b.step(message(id, int(n), int(n%1000)+prefixLen))
	case 5:
		b.step(frame.NewRSTStream(id, frame.ErrCode(n)))
	case 6:
		b.step(frame.NewWindowUpdate(id, 0, uint32(n)))
	case 7:
		b.step(setting(frame.SettingID(id%8), uint32(n)<<(id>>8%17)))
	case 8:
		b.step(&frame.Settings{Ack: true})
	case 9:
		p := &frame.Ping{Ack: end}
		copy(p.Data[:], "cbrd")
		binary.BigEndian.PutUint32(p.Data[4:], uint32(id%4))
		b.step(p)
	case 10:
		b.step(&frame.GoAway{LastStreamID: id, Code: frame.ErrCode(n)})
	case 11:
		b.step(&frame.Priority{StreamID: id, DependsOn: frame.StreamID(n)})
	case 12:
		b.step(&frame.Malformed{Err: &frame.StreamError{StreamID: id, Code: frame.ErrCode(n)}})
	case 13:
		if b.m.cfg.Role == Client {
			b.step(&Open{Ref: ref})
		}
	case 14, 15:
		if s := b.m.streams.find(id); s != frame.NoSlot {
			b.step(&Done{Slot: s, ID: id, Owed: min(int(n), b.m.streams.slots[s].held)})
		}
	case 16, 17:
		if s := b.m.streams.find(id); s != frame.NoSlot {
			n = uint16(min(int(n), b.m.streams.slots[s].held))
		}
		b.step(&Credit{ID: id, N: int(n)})
	case 18:
		b.now = b.now.Add(time.Duration(n) * time.Millisecond * 10)
		b.step(&Tick{})
	case 19:
		b.step(&Wrote{DataFrames: int(n % 3), Headers: int(id % 2)})
	case 20:
		switch n % 8 {
		case 0:
			b.step(&Drain{Reason: "fuzz"})
		case 1:
			b.step(&Reset{ID: id})
		case 2:
			b.step(&Withdraw{Ref: ref - 1})
		case 3:
			b.step(&frame.Unknown{Type: 9})
		case 4:
			b.step(&frame.Glitch{})
		case 5:
			b.step(&frame.PushPromise{StreamID: id})
		default:
		}
	case 21:
		switch n {
		case 0xffff:
			b.step(&Close{Reason: "fuzz"})
		case 0xfffe:
			b.step(&TransportDown{})
		}
	}
}

// TestStepIsTotal brings a machine into every state and fires every event.
func TestStepIsTotal(t *testing.T) {
	states := []struct {
		want State
		path []Event
	}{
		{StateIdle, nil},
		{StateHandshake, []Event{&Start{}}},
		{StateReady, []Event{&Start{}, &frame.Settings{}}},
		{StateClosing, []Event{&Start{}, &frame.Settings{}, &Close{}}},
		{StateClosed, []Event{&Start{}, &frame.Settings{}, &TransportDown{}}},
	}
	draining := map[Role][]Event{
		Server: {&Start{}, &frame.Settings{}, &Drain{}},
		Client: {&Start{}, &frame.Settings{}, &Open{Ref: "first"}, &Drain{}},
	}
	events := []func() Event{
		func() Event { return &Start{} },
		func() Event { return &Open{Ref: "a"} },
		func() Event { return &Withdraw{Ref: "a"} },
		func() Event { return &Spill{} },
		func() Event { return &Credit{ID: 1} },
		func() Event { return &Reset{ID: 1} },
		func() Event { return &Wrote{DataFrames: 1} },
		func() Event { return &Tick{} },
		func() Event { return &Drain{} },
		func() Event { return &Close{} },
		func() Event { return &TransportDown{} },
		func() Event { return headers(1, true) },
		func() Event { return partial(1, 1, 1) },
		func() Event { return frame.NewRSTStream(1, 0) },
		func() Event { return frame.NewWindowUpdate(0, 0, 1) },
		func() Event { return &frame.Settings{} },
		func() Event { return &frame.Settings{Ack: true} },
		func() Event { return &frame.Ping{} },
		func() Event { return &frame.GoAway{} },
		func() Event { return &frame.Priority{StreamID: 1} },
		func() Event { return &frame.PushPromise{StreamID: 1} },
		func() Event { return &frame.Unknown{} },
		func() Event { return &frame.Glitch{} },
		func() Event { return &frame.Malformed{Err: &frame.StreamError{StreamID: 1}} },
	}
	// ours says that (state, event) is a mistake of our side.
	ours := func(r Role, s State, ev Event) bool {
		switch ev.(type) {
		case *Open:
			return r == Server
		case *Start:
			return s != StateIdle && !s.over()
		case frame.Frame:
			return s == StateIdle
		}
		return false
	}
	for _, r := range []Role{Client, Server} {
		for _, s := range append(states, struct {
			want State
			path []Event
		}{StateDraining, draining[r]}) {
			for _, ev := range events {
				ev := ev()
				m := New(Config{Role: r})
				var fx Effects
				for _, e := range s.path {
					_ = m.Step(e, epoch, &fx)
				}
				if m.State() != s.want {
					t.Fatalf("%v: path leads to %v, not %v", r, m.State(), s.want)
				}
				func() {
					defer func() {
						if p := recover(); (p != nil) != ours(r, s.want, ev) {
							t.Errorf("%v in %v, %T: panic %v", r, s.want, ev, p)
						}
					}()
					_ = m.Step(ev, epoch, &fx)
				}()
			}
		}
	}
}
