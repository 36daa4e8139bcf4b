package connfsm

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bench steps one machine and keeps what the last step asked for.
type bench struct {
	t   testing.TB
	m   *Machine
	now time.Time
	fx  Effects
	err error // of the step, or of the one that ended the connection

	closing *Closing // likewise
}

// newBench makes a machine in StateReady, its handshake done.
func newBench(t testing.TB, cfg Config) *bench {
	b := rawBench(t, cfg)
	b.step(&Start{})
	b.step(&frame.Settings{})
	b.step(&frame.Settings{Ack: true})
	b.fx.Reset()
	return b
}

func rawBench(t testing.TB, cfg Config) *bench {
	return &bench{t: t, m: New(cfg), now: epoch}
}

func (b *bench) step(ev Event) *Effects {
	b.t.Helper()
	b.fx.Reset()
	over := b.m.State().over()
	if err := b.m.Step(ev, b.now, &b.fx); !over {
		b.err, b.closing = err, b.fx.Closing
	} else if err != nil || b.fx.Closing != nil {
		b.t.Fatalf("%T ended the connection a second time: %v %v", ev, err, b.fx.Closing)
	}
	check(b.t, b.m)
	return &b.fx
}

// pass lets time go by, with a Tick whenever the machine wants one.
func (b *bench) pass(d time.Duration) *Effects {
	b.t.Helper()
	end := b.now.Add(d)
	all := Effects{}
	for at := b.m.armed; !at.IsZero() && !at.After(end); at = b.m.armed {
		b.now = at
		b.step(&Tick{})
		all.Control = append(all.Control, b.fx.Control...)
		all.Gone = append(all.Gone, b.fx.Gone...)
		all.Reports = append(all.Reports, b.fx.Reports...)
		if b.fx.Closing != nil {
			all.Closing = b.fx.Closing
		}
		if b.err != nil {
			break
		}
	}
	b.now = end
	b.fx = all
	return &b.fx
}

// open opens a client's stream and returns where it lives.
func (b *bench) open(ref any) Opened {
	b.t.Helper()
	fx := b.step(&Open{Ref: ref})
	if len(fx.Opened) != 1 {
		b.t.Fatalf("Open answered with %v %v", fx.Opened, fx.Refused)
	}
	return fx.Opened[0]
}

// begin begins a stream on a server.
func (b *bench) begin(id frame.StreamID, end bool) frame.SlotIndex {
	b.t.Helper()
	fx := b.step(headers(id, end))
	if len(fx.Route) != 1 || !fx.Route[0].New {
		b.t.Fatalf("HEADERS routed as %v, control %v, err %v", fx.Route, fx.Control, b.err)
	}
	return fx.Route[0].Slot
}

func (b *bench) code() frame.ErrCode {
	b.t.Helper()
	ce, ok := b.err.(*frame.ConnError)
	if !ok {
		b.t.Fatalf("error %v is not a *frame.ConnError", b.err)
	}
	return ce.Code
}

func (b *bench) diff(what string, got, want any) {
	b.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		b.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func headers(id frame.StreamID, end bool) *frame.Headers {
	return &frame.Headers{StreamID: id, EndStream: end}
}

// partial is DATA of a message that is not complete.
func partial(id frame.StreamID, size, missing int) *frame.Data {
	return &frame.Data{StreamID: id, Size: size, Pending: missing}
}

// message is DATA that completes a message of n octets, prefix included.
func message(id frame.StreamID, size, n int) *frame.Data {
	return &frame.Data{StreamID: id, Size: size, Message: &buffer.Buffer{B: make([]byte, n-prefixLen)}}
}

// failer is what testing.T and rapid.T have in common here.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// check asserts what holds in every state.
func check(t failer, m *Machine) {
	t.Helper()
	w := m.View().Window
	if w.Granted != w.Consumed+int64(w.Held)+int64(w.Available) {
		t.Fatalf("granted %d != consumed %d + held %d + available %d", w.Granted, w.Consumed, w.Held, w.Available)
	}
	if w.Available < 0 || w.Size > frame.MaxWindow || w.Available > frame.MaxWindow {
		t.Fatalf("window %+v out of range", w)
	}
	held, readable, bare, live := m.owed, 0, 0, 0
	for i := range m.streams.slots {
		sl := &m.streams.slots[i]
		if sl.id == 0 {
			continue
		}
		live++
		held += sl.held
		readable += sl.readable
		bare += min(sl.readable, int(m.cfg.InitialWindow))
		if m.streams.find(sl.id) != frame.SlotIndex(i) {
			t.Fatalf("stream %v lives in slot %d but is found in %d", sl.id, i, m.streams.find(sl.id))
		}
	}
	if held != w.Held || readable != m.readable || bare != m.bare {
		t.Fatalf("streams hold %d (%d readable, %d bare), the window %d (%d, %d)", held, readable, bare, w.Held, m.readable, m.bare)
	}
	if w.Lent < 0 || w.Lent > w.Size {
		t.Fatalf("window %+v", w)
	}
	for _, s := range m.line.queue {
		if m.streams.find(s.id) != s.slot {
			t.Fatalf("stream %v starves and is gone", s.id)
		}
	}
	if live != m.streams.live || live != m.streams.ids.n || live+len(m.streams.free) != len(m.streams.slots) {
		t.Fatalf("%d live, %d counted, %d indexed, %d free of %d", live, m.streams.live, m.streams.ids.n, len(m.streams.free), len(m.streams.slots))
	}
}

// describe prints effects, one line each, for golden dialogues.
func describe(fx *Effects) []string {
	var out []string
	add := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	for _, tr := range fx.Transition {
		add("%s -> %s on %s", tr.From, tr.To, tr.On)
	}
	if fx.Peer != nil {
		add("loopy: peer's %+v", *fx.Peer)
	}
	for _, f := range fx.Control {
		add("writes %s", describeFrame(f))
	}
	for _, w := range fx.Windows {
		add("loopy: %s slot %d", describeFrame(w), w.Slot)
	}
	for _, r := range fx.Route {
		isNew := ""
		if r.New {
			isNew = " new"
		}
		add("stream %v in slot %d%s: %s", r.ID, r.Slot, isNew, describeFrame(r.Frame))
	}
	for _, f := range fx.Failed {
		add("stream %v in slot %d failed: %v", f.ID, f.Slot, f.Err)
	}
	for _, g := range fx.Grow {
		add("stream %v in slot %d grows by %d", g.ID, g.Slot, g.N)
	}
	for _, f := range fx.Free {
		add("drops %s", describeFrame(f))
	}
	for _, o := range fx.Opened {
		add("opened %v: stream %v in slot %d", o.Ref, o.ID, o.Slot)
	}
	for _, r := range fx.Refused {
		add("refused %v: %s", r.Ref, r.Reason)
	}
	for _, g := range fx.Gone {
		add("stream %v in slot %d gone: %v %q unprocessed=%v", g.ID, g.Slot, g.Code, g.Message, g.Unprocessed)
	}
	for _, r := range fx.Reports {
		add("reports %v", r)
	}
	if fx.Closing != nil {
		add("closes within %v: %v", fx.Closing.Linger, fx.Closing.Err)
	}
	if !fx.Timer.IsZero() {
		add("wants a tick at %v", fx.Timer.Sub(epoch))
	}
	return out
}

func describeFrame(f frame.Frame) string {
	end := func(b bool) string {
		if b {
			return " END_STREAM"
		}
		return ""
	}
	switch f := f.(type) {
	case *frame.Headers:
		return fmt.Sprintf("HEADERS %v%s", f.StreamID, end(f.EndStream))
	case *frame.Data:
		s := fmt.Sprintf("DATA %v size=%d", f.StreamID, f.Size)
		if f.Message != nil {
			s += fmt.Sprintf(" message=%d", len(f.Message.B)+prefixLen)
		}
		if f.Pending > 0 {
			s += fmt.Sprintf(" missing=%d", f.Pending)
		}
		if f.Fault != nil {
			s += fmt.Sprintf(" fault=%d", f.Fault.Kind)
		}
		return s + end(f.EndStream)
	case *frame.WindowUpdate:
		return fmt.Sprintf("WINDOW_UPDATE %v +%d", f.StreamID, f.Increment)
	case *frame.RSTStream:
		return fmt.Sprintf("RST_STREAM %v %v", f.StreamID, f.Code)
	case *frame.Settings:
		if f.Ack {
			return "SETTINGS ACK"
		}
		var v []string
		for _, s := range f.Values {
			v = append(v, fmt.Sprintf("%d=%d", s.ID, s.Val))
		}
		return "SETTINGS {" + strings.Join(v, " ") + "}"
	case *frame.Ping:
		if f.Ack {
			return fmt.Sprintf("PING ACK %q", f.Data)
		}
		return fmt.Sprintf("PING %q", f.Data)
	case *frame.GoAway:
		return fmt.Sprintf("GOAWAY last=%v %v %q", f.LastStreamID, f.Code, f.Debug)
	default:
		return fmt.Sprintf("%T", f)
	}
}
