package connfsm

import (
	"testing"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// TestFrameOnStreamThatIsNotLive fires every kind of stream frame at every fate
// a stream without a slot can have (RFC 9113 5.1, 5.1.1).
func TestFrameOnStreamThatIsNotLive(t *testing.T) {
	const none = frame.ErrCode(99)
	type reaction struct{ conn, rst frame.ErrCode }
	var (
		ignored   = reaction{none, none}
		protocol  = reaction{frame.ProtocolError, none}
		closed    = reaction{frame.StreamClosed, none}
		rstClosed = reaction{none, frame.StreamClosed}
	)
	frames := []struct {
		name string
		f    func(id frame.StreamID) frame.Frame
	}{
		{"HEADERS", func(id frame.StreamID) frame.Frame { return headers(id, true) }},
		{"DATA", func(id frame.StreamID) frame.Frame { return partial(id, 10, 3) }},
		{"RST_STREAM", func(id frame.StreamID) frame.Frame { return frame.NewRSTStream(id, frame.Cancel) }},
		{"WINDOW_UPDATE", func(id frame.StreamID) frame.Frame { return frame.NewWindowUpdate(id, 0, 1) }},
	}
	fates := []struct {
		name string
		role Role
		set  func(b *bench) frame.StreamID
		want [4]reaction
	}{
		{"server: even id", Server, func(*bench) frame.StreamID { return 2 }, [4]reaction{protocol, protocol, protocol, protocol}},
		{"server: idle except for HEADERS", Server, func(*bench) frame.StreamID { return 7 }, [4]reaction{ignored, protocol, protocol, protocol}},
		{"server: skipped", Server, func(b *bench) frame.StreamID { b.begin(5, true); return 3 }, [4]reaction{protocol, ignored, ignored, ignored}},
		{"server: ended", Server, func(b *bench) frame.StreamID {
			b.step(&Done{Slot: b.begin(1, true), ID: 1})
			return 1
		}, [4]reaction{closed, rstClosed, ignored, ignored}},
		{"server: reset by the peer", Server, func(b *bench) frame.StreamID {
			s := b.begin(1, false)
			b.step(frame.NewRSTStream(1, frame.Cancel))
			b.step(&Done{Slot: s, ID: 1})
			return 1
		}, [4]reaction{rstClosed, rstClosed, ignored, ignored}},
		{"server: reset by us", Server, func(b *bench) frame.StreamID {
			b.step(&Done{Slot: b.begin(1, false), ID: 1})
			return 1
		}, [4]reaction{ignored, ignored, ignored, ignored}},
		{"client: even id", Client, func(*bench) frame.StreamID { return 2 }, [4]reaction{protocol, protocol, protocol, protocol}},
		{"client: idle", Client, func(*bench) frame.StreamID { return 1 }, [4]reaction{protocol, protocol, protocol, protocol}},
		{"client: ended", Client, func(b *bench) frame.StreamID {
			o := b.open("a")
			b.step(headers(o.ID, true))
			b.step(&Done{Slot: o.Slot, ID: o.ID})
			return o.ID
		}, [4]reaction{closed, rstClosed, ignored, ignored}},
		{"client: reset by us", Client, func(b *bench) frame.StreamID {
			o := b.open("a")
			b.step(&Done{Slot: o.Slot, ID: o.ID})
			return o.ID
		}, [4]reaction{ignored, ignored, ignored, ignored}},
	}
	for _, ft := range fates {
		for i, fr := range frames {
			t.Run(ft.name+"/"+fr.name, func(t *testing.T) {
				b := newBench(t, Config{Role: ft.role})
				id := ft.set(b)
				before := b.m.View().Window
				fx := b.step(fr.f(id))
				got := ignored
				if b.err != nil {
					got.conn = b.code()
				}
				for _, c := range fx.Control {
					if r, ok := c.(*frame.RSTStream); ok {
						got.rst = r.Code
					}
				}
				if got != ft.want[i] {
					t.Errorf("reaction %v, want %v", got, ft.want[i])
				}
				if w := b.m.View().Window; fr.name == "DATA" && b.err == nil && (w.Received != before.Received+10 || w.Held != before.Held) {
					t.Errorf("window %+v after %+v: DATA must be charged and given back", w, before)
				}
			})
		}
	}
}

func TestOldStreamsAreForgotten(t *testing.T) {
	b := newBench(t, Config{Role: Server})
	for id := frame.StreamID(1); id < 2*pastLen+3; id += 2 {
		b.step(&Done{Slot: b.begin(id, true), ID: id})
	}
	b.step(partial(1, 1, 1))
	if b.err != nil || len(b.fx.Control) != 0 {
		t.Fatalf("DATA of a forgotten stream: %v %v", b.fx.Control, b.err)
	}
	b.step(partial(3, 1, 1))
	if len(b.fx.Control) != 1 {
		t.Fatalf("DATA of a remembered stream: %v", b.fx.Control)
	}
	b.step(headers(1, true))
	b.diff("code", b.code(), frame.ProtocolError)
}

func TestFrameOnLiveStream(t *testing.T) {
	t.Run("frames are routed until END_STREAM", func(t *testing.T) {
		b := newBench(t, Config{Role: Server})
		s := b.begin(1, false)
		d := message(1, 10, 10)
		d.EndStream = true
		fx := b.step(d)
		b.diff("route", len(fx.Route), 1)
		b.diff("slot", fx.Route[0].Slot, s)
		w := frame.NewWindowUpdate(1, 0, 5)
		fx = b.step(w)
		b.diff("windows", fx.Windows, []*frame.WindowUpdate{{StreamID: 1, Slot: s, Increment: 5}})
		fx = b.step(frame.NewWindowUpdate(0, 0, 5))
		b.diff("windows", fx.Windows, []*frame.WindowUpdate{{StreamID: 0, Slot: frame.NoSlot, Increment: 5}})
		// DATA in half-closed (remote) is judged by the stream, HEADERS here.
		fx = b.step(partial(1, 0, 0))
		b.diff("route", len(fx.Route), 1)
		b.step(headers(1, true))
		b.diff("code", b.code(), frame.StreamClosed)
	})
	t.Run("nothing is routed after the peer's RST_STREAM", func(t *testing.T) {
		b := newBench(t, Config{Role: Server})
		b.begin(1, false)
		fx := b.step(frame.NewRSTStream(1, frame.Cancel))
		b.diff("route", len(fx.Route), 1)
		for _, f := range []frame.Frame{partial(1, 10, 1), headers(1, true)} {
			fx = b.step(f)
			b.diff("route", len(fx.Route), 0)
			b.diff("control", fx.Control, []frame.Control{frame.NewRSTStream(1, frame.StreamClosed)})
			b.diff("free", len(fx.Free), 1)
		}
		fx = b.step(frame.NewRSTStream(1, frame.Cancel))
		b.diff("second RST_STREAM", len(fx.Route), 0)
		b.diff("held", b.m.View().Window.Held, 0)
	})
	t.Run("a malformed frame fails the stream once", func(t *testing.T) {
		b := newBench(t, Config{Role: Client})
		o := b.open("a")
		bad := &frame.Malformed{Err: &frame.StreamError{StreamID: o.ID, Code: frame.ProtocolError}}
		b.diff("failed", b.step(bad).Failed, []Failed{{Slot: o.Slot, ID: o.ID, Err: bad.Err}})
		b.diff("failed again", len(b.step(bad).Failed), 0)
		b.diff("late DATA", len(b.step(partial(o.ID, 5, 1)).Route), 0)
		b.step(&Done{Slot: o.Slot, ID: o.ID})
		fx := b.step(bad)
		b.diff("closed stream", fx.Control, []frame.Control{frame.NewRSTStream(o.ID, frame.ProtocolError)})
		b.step(&frame.Malformed{Err: &frame.StreamError{StreamID: 77, Code: frame.FrameSizeError}})
		b.diff("idle stream", b.code(), frame.FrameSizeError)
	})
	t.Run("PRIORITY on itself", func(t *testing.T) {
		b := newBench(t, Config{Role: Server})
		s := b.begin(1, false)
		fx := b.step(&frame.Priority{StreamID: 1, DependsOn: 1})
		b.diff("failed", len(fx.Failed), 1)
		b.diff("slot", fx.Failed[0].Slot, s)
		b.step(&frame.Priority{StreamID: 9, DependsOn: 9})
		b.diff("idle", b.code(), frame.ProtocolError)
	})
}

func TestConnectionBreach(t *testing.T) {
	for _, c := range []struct {
		name string
		role Role
		f    frame.Frame
		want frame.ErrCode
	}{
		{"PUSH_PROMISE to a client (6.6)", Client, &frame.PushPromise{StreamID: 1}, frame.ProtocolError},
		{"PUSH_PROMISE to a server (8.4)", Server, &frame.PushPromise{StreamID: 1}, frame.ProtocolError},
		{"DATA beyond the connection window (6.9.1)", Server, partial(1, 1<<20+1, 1), frame.FlowControlError},
		{"GOAWAY with an even id (6.8)", Client, &frame.GoAway{LastStreamID: 4}, frame.ProtocolError},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{Role: c.role})
			if c.role == Server {
				b.begin(1, false)
			}
			fx := b.step(c.f)
			b.diff("code", b.code(), c.want)
			b.diff("state", b.m.State(), StateClosing)
			g, _ := fx.Control[len(fx.Control)-1].(*frame.GoAway)
			if g == nil || g.Code != c.want || fx.Closing == nil || fx.Closing.Err != b.err {
				t.Errorf("GOAWAY %v, Closing %v", g, fx.Closing)
			}
			b.diff("reports", fx.Reports, []Report{Down})
		})
	}
}

func TestFirstFrameMustBeSettings(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, f := range []frame.Frame{
			headers(1, true), partial(1, 0, 0), &frame.Settings{Ack: true}, &frame.Ping{}, &frame.GoAway{},
			frame.NewWindowUpdate(0, 0, 1), &frame.Unknown{Type: 99}, &frame.Glitch{},
		} {
			b := rawBench(t, Config{Role: role})
			b.step(&Start{})
			b.step(f)
			b.diff("code", b.code(), frame.ProtocolError)
		}
	}
}
