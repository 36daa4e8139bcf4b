package connfsm

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// TestLegalWalk lets two well-behaved sides do what they like in any order,
// with frames under way as long as they like. Nothing ends the connection but
// themselves.
func TestLegalWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWalk(t)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			w.anything()
		}
		w.finish()
	})
}

// walk is a dialogue without a script.
type walk struct {
	t     *rapid.T
	now   time.Time
	peers [2]*peer
	heavy bool // large messages and slow readers: windows run out
	refs  int
	fate  map[int]string // of every Open: "", or how it was answered
}

// peer is one side: its machine and what a legal sender must know.
type peer struct {
	role    Role
	m       *Machine
	wire    []frame.Frame
	room    int // of the other's connection window
	streams map[frame.StreamID]*walkStream
	lastID  frame.StreamID
	sealed  bool // server: the last GOAWAY went out
	downs   int
	closes  int
}

// walkStream is what a stream actor would know.
type walkStream struct {
	slot            frame.SlotIndex
	sentEnd, gotEnd bool
	began           bool // headers of ours went out
	unread          int
}

func newWalk(t *rapid.T) *walk {
	w := &walk{t: t, now: epoch, fate: make(map[int]string), heavy: rapid.Bool().Draw(t, "heavy")}
	for _, r := range []Role{Client, Server} {
		w.peers[r] = &peer{role: r, room: frame.DefaultWindow, streams: make(map[frame.StreamID]*walkStream), m: New(Config{
			Role: r, MaxConcurrentStreams: uint32(rapid.IntRange(1, 5).Draw(t, "limit")),
			ConnWindow: 65535, MaxConnWindow: rapid.SampledFrom([]int{65535, 200_000}).Draw(t, "window"), GlitchBurst: -1, LastID: 101,
			HandshakeTimeout: -1, SettingsTimeout: -1, Enforcement: Enforcement{MinTime: -1},
			Keepalive: Keepalive{Time: time.Minute, Timeout: time.Hour},
		})}
		w.step(r, &Start{})
	}
	return w
}

func (w *walk) anything() {
	r := Role(rapid.IntRange(0, 1).Draw(w.t, "role"))
	p := w.peers[r]
	what := rapid.IntRange(0, 13).Draw(w.t, "what")
	if w.heavy && what >= 9 && rapid.IntRange(0, 3).Draw(w.t, "rather send") > 0 {
		what = 8
	}
	switch what {
	case 0, 1, 2, 3:
		w.deliver(r)
	case 4, 5:
		w.refs++
		w.fate[w.refs] = ""
		w.step(Client, &Open{Ref: w.refs})
	case 6:
		if w.refs > 0 {
			ref := rapid.IntRange(1, w.refs).Draw(w.t, "ref")
			w.step(Client, &Withdraw{Ref: ref})
			if w.fate[ref] == "" {
				w.fate[ref] = "withdrawn"
			}
		}
	case 7, 8:
		w.send(p)
	case 9:
		w.read(p)
	case 10:
		w.end(p)
	case 11:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(w.t, "seconds")) * time.Second)
		if at := p.m.armed; !at.IsZero() && !at.After(w.now) {
			w.step(r, &Tick{})
		}
	case 12:
		if id, s := p.pick(w.t); s != nil && s.sentEnd && s.gotEnd {
			w.done(p, id, s)
		}
	case 13:
		if rapid.IntRange(0, 20).Draw(w.t, "drain") == 0 {
			w.step(r, &Drain{Reason: "walk"})
		}
	}
}

func (p *peer) pick(t *rapid.T) (frame.StreamID, *walkStream) {
	var ids []frame.StreamID
	for id := frame.StreamID(1); id <= p.lastID; id += 2 {
		if p.streams[id] != nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	id := rapid.SampledFrom(ids).Draw(t, "stream")
	return id, p.streams[id]
}

// send puts headers, then DATA on a stream, within the connection's window.
func (w *walk) send(p *peer) {
	id, s := p.pick(w.t)
	if s == nil || s.sentEnd || p.m.State().over() {
		return
	}
	if !s.began {
		s.began = true
		p.wire = append(p.wire, headers(id, false))
		return
	}
	n := min(rapid.IntRange(0, 40_000).Draw(w.t, "size"), p.room)
	if w.heavy {
		n = p.room
	}
	p.room -= n
	d := partial(id, n, 50_000)
	if n > prefixLen && rapid.IntRange(0, 4).Draw(w.t, "whole") == 0 {
		d = message(id, n, n)
	}
	p.wire = append(p.wire, d)
	w.step(p.role, &Wrote{DataFrames: 1})
}

// end half-closes or resets.
func (w *walk) end(p *peer) {
	id, s := p.pick(w.t)
	if s == nil || s.sentEnd || p.m.State().over() {
		return
	}
	s.sentEnd = true
	switch {
	case s.began && rapid.Bool().Draw(w.t, "reset"):
		s.gotEnd = true
		p.wire = append(p.wire, frame.NewRSTStream(id, frame.Cancel))
	default:
		s.began = true
		p.wire = append(p.wire, headers(id, true))
	}
}

// read consumes part of what the application was given.
func (w *walk) read(p *peer) {
	if id, s := p.pick(w.t); s != nil && s.unread > 0 {
		n := rapid.IntRange(1, s.unread).Draw(w.t, "read")
		s.unread -= n
		w.step(p.role, &Credit{Slot: s.slot, ID: id, N: n})
	}
}

func (w *walk) done(p *peer, id frame.StreamID, s *walkStream) {
	owed := 0
	if p.role == Client {
		owed = s.unread
	}
	delete(p.streams, id)
	w.step(p.role, &Done{Slot: s.slot, ID: id, Owed: owed})
	if owed > 0 && rapid.Bool().Draw(w.t, "late read") {
		w.step(p.role, &Credit{Slot: s.slot, ID: id, N: owed})
	}
}

// deliver brings one frame over.
func (w *walk) deliver(r Role) {
	p := w.peers[r]
	if len(p.wire) == 0 {
		return
	}
	f := p.wire[0]
	p.wire = p.wire[1:]
	if u, ok := f.(*frame.WindowUpdate); ok && u.StreamID == 0 {
		w.peers[1-r].room += int(u.Increment)
	}
	w.step(1-r, f)
}

// step steps one machine, plays its actors and checks the rules.
func (w *walk) step(r Role, ev Event) {
	p := w.peers[r]
	var fx Effects
	over := p.m.State().over()
	if err := p.m.Step(ev, w.now, &fx); err != nil {
		w.t.Fatalf("%v: %T ended the connection: %v", r, ev, err)
	}
	check(w.t, p.m)
	p.wire = append(p.wire, frames(fx.Control)...)
	for _, o := range fx.Opened {
		if o.ID != p.lastID+2 && (p.lastID != 0 || o.ID != 1) {
			w.t.Fatalf("opened %v after %v", o.ID, p.lastID)
		}
		if live := p.m.Streams(); uint32(live) > p.m.peer.maxStreams {
			w.t.Fatalf("%d streams live, limit %d", live, p.m.peer.maxStreams)
		}
		p.lastID = o.ID
		p.streams[o.ID] = &walkStream{slot: o.Slot, began: true}
		p.wire = append(p.wire, headers(o.ID, false)) // ids reach the wire in order
		w.answer(o.Ref, "opened")
	}
	for _, f := range fx.Refused {
		w.answer(f.Ref, "refused")
	}
	for _, rt := range fx.Route {
		w.routed(p, rt)
	}
	for _, g := range fx.Gone {
		if s := p.streams[g.ID]; s != nil {
			s.sentEnd, s.gotEnd = true, true
		}
	}
	for _, c := range fx.Control {
		if g, ok := c.(*frame.GoAway); ok && r == Server && g.LastStreamID != frame.MaxStreamID {
			p.sealed = true
		}
	}
	if fx.Closing != nil {
		p.closes++
	}
	for _, rep := range fx.Reports {
		if rep == Down {
			p.downs++
		}
	}
	if p.downs > 1 || p.closes > 1 || p.downs != p.closes {
		w.t.Fatalf("%d Down, %d Closing", p.downs, p.closes)
	}
	if over && len(fx.Control)+len(fx.Route)+len(fx.Opened) > 0 {
		w.t.Fatalf("effects after the end: %v", describe(&fx))
	}
}

func (w *walk) routed(p *peer, rt Route) {
	if rt.New {
		if p.sealed {
			w.t.Fatalf("stream %v after the last GOAWAY", rt.ID)
		}
		if rt.ID <= p.lastID {
			w.t.Fatalf("stream %v after stream %v", rt.ID, p.lastID)
		}
		p.lastID = rt.ID
		p.streams[rt.ID] = &walkStream{slot: rt.Slot}
	}
	s := p.streams[rt.ID]
	if s == nil || s.slot != rt.Slot {
		w.t.Fatalf("%T of stream %v routed to slot %d", rt.Frame, rt.ID, rt.Slot)
	}
	switch f := rt.Frame.(type) {
	case *frame.Headers:
		s.gotEnd = s.gotEnd || f.EndStream
	case *frame.Data:
		if f.Fault != nil {
			if !s.sentEnd { // the stream resets itself
				p.wire = append(p.wire, frame.NewRSTStream(rt.ID, frame.EnhanceYourCalm))
			}
			s.sentEnd, s.gotEnd, s.unread = true, true, 0
			return
		}
		s.unread += f.Size
	case *frame.RSTStream:
		s.sentEnd, s.gotEnd = true, true
	}
}

func (w *walk) answer(ref any, how string) {
	if had := w.fate[ref.(int)]; had != "" {
		w.t.Fatalf("Open %v %s, then %s", ref, had, how)
	}
	w.fate[ref.(int)] = how
}

// finish ends everything and looks for leftovers.
func (w *walk) finish() {
	for range 2 {
		for len(w.peers[Client].wire)+len(w.peers[Server].wire) > 0 {
			w.deliver(Client)
			w.deliver(Server)
		}
	}
	for r, p := range w.peers {
		// A window is never used up but by what somebody can read.
		rcv := w.peers[1-r].m
		if p.room == 0 && !rcv.State().over() && rcv.unread() < rcv.recv.Size()-rcv.lent {
			w.t.Fatalf("%v is stuck for good: %+v", p.role, rcv.View().Window)
		}
	}
	for _, p := range w.peers {
		w.step(p.role, &TransportDown{Err: fmt.Errorf("end of walk")})
	}
	for _, p := range w.peers {
		for id, s := range p.streams {
			w.done(p, id, s)
		}
		if p.m.Streams() != 0 || p.m.View().Window.Held != p.m.owed || p.m.parked.len() != 0 || p.downs != 1 {
			w.t.Fatalf("%v leaves %+v, downs %d", p.role, p.m.View(), p.downs)
		}
	}
	for ref, how := range w.fate {
		if how == "" {
			w.t.Fatalf("Open %d was never answered", ref)
		}
	}
}

func frames(cs []frame.Control) []frame.Frame {
	out := make([]frame.Frame, len(cs))
	for i, c := range cs {
		out[i] = c
	}
	return out
}

// TestStreamIndexIsAMap compares the table's hash index with a map.
func TestStreamIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		model := make(map[frame.StreamID]frame.SlotIndex)
		id := rapid.Uint32Range(1, 64)
		for i := range rapid.IntRange(0, 200).Draw(t, "n") {
			k := frame.StreamID(id.Draw(t, "id"))
			if _, ok := model[k]; ok {
				x.remove(k)
				delete(model, k)
			} else {
				x.put(k, frame.SlotIndex(i))
				model[k] = frame.SlotIndex(i)
			}
			for k := frame.StreamID(0); k <= 64; k++ {
				want, ok := model[k]
				if !ok {
					want = frame.NoSlot
				}
				if got := x.get(k); got != want {
					t.Fatalf("get(%v) = %d, want %d", k, got, want)
				}
			}
		}
	})
}
