package streamfsm

import (
	"encoding/binary"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// epoch is the time tests begin at.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const testSlot frame.SlotIndex = 7

const (
	testWindow = 1000
	testLimit  = 5000
	maxChunk   = 400 // octets of DATA per frame
)

// side is a machine with just enough around it to speak with another one: a
// loopy writer with a send window, a reader that puts messages together, an
// application that keeps what it gets.
type side struct {
	m    *Machine
	fx   Effects
	now  time.Time
	peer *side
	must func(ok bool, format string, args ...any) // a rule that always holds

	// Loopy.
	queue  []*frame.Outgoing
	window int
	wire   []packet // on its way to the peer
	phase  int      // of this stream on the wire: see write
	lasts  int
	dead   bool // the connection of this RPC is lost: nothing is sent any more

	// Reader.
	part    []byte // of the message that is being received
	deafTo  bool   // a fault was reported
	charged int    // of the connection's window
	credits int

	// Connection.
	growth   *flow.Budget // nil: windows grow unasked
	starving []Grow       // what it owes, oldest first

	// Application.
	accepted, finished bool
	remoteEnd          bool
	owed               int
	inbox              []string
	unread             []Message
	outcomes           []Outcome
	dones              int
	sent               []string

	tracked *tracked
	said    *[]string // what both sides said
}

// packet is a frame on the wire.
type packet struct {
	fields []frame.Field // HEADERS
	data   []byte        // DATA
	isData bool
	pad    int
	end    bool
	rst    bool
	code   frame.ErrCode
	grant  int // WINDOW_UPDATE
	id     frame.StreamID
}

func (p packet) String() string {
	end := ""
	if p.end {
		end = " END_STREAM"
	}
	switch {
	case p.rst:
		return fmt.Sprintf("RST_STREAM %v", p.code)
	case p.grant > 0:
		return fmt.Sprintf("WINDOW_UPDATE %d", p.grant)
	case p.isData:
		return fmt.Sprintf("DATA %d%s", len(p.data)+p.pad, end)
	}
	s := "HEADERS"
	for _, f := range p.fields {
		switch f.Name {
		case ":status", ":path", "grpc-status", "grpc-message", "content-type":
			s += " " + f.Name + "=" + f.Value
		}
	}
	return s + end
}

// tracked remembers what must not leak.
type tracked struct {
	buffers []*buffer.Buffer
	headers []*frame.Headers
	data    []*frame.Data
}

func (t *tracked) buffer(p []byte) *buffer.Buffer {
	b := buffer.Wrap(p)
	t.buffers = append(t.buffers, b)
	return b
}

func (t *tracked) header(h *frame.Headers) *frame.Headers {
	t.headers = append(t.headers, h)
	return h
}

func (t *tracked) dataFrame(d *frame.Data) *frame.Data {
	t.data = append(t.data, d)
	return d
}

// leaked says what is left. Neither frames nor buffers were taken from a pool,
// and nobody takes them from there in these tests, so they stay as Free and
// Release left them.
func (t *tracked) leaked() string {
	for _, b := range t.buffers {
		if b.B != nil {
			return fmt.Sprintf("a buffer of %d octets", len(b.B))
		}
	}
	for _, h := range t.headers {
		if h.StreamID != 0 {
			return fmt.Sprintf("headers of stream %d", h.StreamID)
		}
	}
	for _, d := range t.data {
		if d.StreamID != 0 {
			return fmt.Sprintf("data of stream %d", d.StreamID)
		}
	}
	return ""
}

func newPair(must func(bool, string, ...any)) (client, server *side) {
	return newBudgetedPair(must, 0)
}

// newBudgetedPair makes sides of which each lets its windows grow by so many
// octets; 0: by as many as they like.
func newBudgetedPair(must func(bool, string, ...any), growth int64) (client, server *side) {
	t := &tracked{}
	said := new([]string)
	mk := func(r Role) *side {
		s := &side{now: epoch, must: must, tracked: t, said: said}
		if growth > 0 {
			s.growth = flow.NewBudget(growth, nil)
		}
		s.m = New(Config{Role: r, Slot: testSlot, InitialWindow: testWindow, MaxMessage: testLimit, Growth: s.growth})
		return s
	}
	client, server = mk(Client), mk(Server)
	client.peer, server.peer = server, client
	return client, server
}

func message(text string) []byte {
	p := make([]byte, PrefixLen, PrefixLen+len(text))
	binary.BigEndian.PutUint32(p[1:], uint32(len(text)))
	return append(p, text...)
}

func (s *side) payload(text string) *buffer.Buffer {
	s.sent = append(s.sent, text)
	return s.tracked.buffer(message(text))
}

// say notes a line of the dialogue.
func (s *side) say(format string, args ...any) {
	*s.said = append(*s.said, s.m.cfg.Role.String()+": "+fmt.Sprintf(format, args...))
}

// feed lets the oldest stream that starves grow, if there is room for it or
// nothing else to wait for.
func (s *side) feed() bool {
	if len(s.starving) == 0 {
		return false
	}
	g := s.starving[0]
	if !s.growth.Charge(g.N) {
		if s.growth.Tight() {
			return false
		}
		s.growth.Force(g.N)
	}
	s.starving = s.starving[1:]
	_ = s.step(&g)
	return true
}

// step gives the machine an event and does what it asks for.
func (s *side) step(ev Event) error {
	if o, ok := ev.(*Open); ok {
		s.begin()
		_ = o
	}
	if h, ok := ev.(*frame.Headers); ok && s.m.cfg.Role == Server && h.StreamID > s.m.id {
		s.begin()
	}
	err := s.m.Step(ev, s.now, &s.fx)
	s.perform()
	if err != nil {
		s.say("error: %v", err)
	}
	s.fx.Reset()
	s.write()
	return err
}

// begin forgets the last RPC.
func (s *side) begin() {
	s.must(s.m.Done(), "begun before the last RPC was over")
	s.queue, s.window, s.phase, s.lasts = nil, testWindow, 0, 0
	s.part, s.deafTo, s.dead = nil, false, false
	s.accepted, s.finished, s.remoteEnd, s.owed = false, false, false, 0
	s.inbox, s.outcomes, s.dones, s.sent = nil, nil, 0, nil
	s.now = epoch
}

func (s *side) perform() {
	fx := &s.fx
	for _, t := range fx.Transition {
		s.say("%s -> %s (%s)", t.From, t.To, t.On)
	}
	if fx.Drop {
		s.say("drops what is queued")
		s.drop()
	}
	for _, o := range fx.Out {
		s.must(o.Slot == testSlot, "slot %d", o.Slot)
		if o.Reset && !o.After {
			s.drop()
		}
		s.must(s.lasts == 0, "an Outgoing behind Last")
		if o.Last {
			s.lasts++
		}
		s.queue = append(s.queue, o)
	}
	for _, c := range fx.Control {
		if r, ok := c.(*frame.RSTStream); ok {
			s.must(s.m.State() == StateClosed, "a bare RST_STREAM in state %v", s.m.State())
			s.say("answers with RST_STREAM(%v)", r.Code)
			if !s.dead {
				s.wire = append(s.wire, packet{rst: true, id: r.StreamID, code: r.Code})
			}
			continue
		}
		w := c.(*frame.WindowUpdate)
		s.wire = append(s.wire, packet{grant: int(w.Increment), id: w.StreamID})
	}
	s.credits += fx.Credit
	if fx.Starved > 0 {
		s.must(s.growth != nil, "starved without a budget")
		s.say("starves for %d", fx.Starved)
		s.starving = append(s.starving, Grow{StreamID: s.m.id, N: fx.Starved})
	}
	if fx.Accept != nil {
		s.say("accepts %s", s.m.Request().Method)
		if !fx.Deadline.IsZero() {
			s.say("deadline in %v", fx.Deadline.Sub(s.now))
		}
		s.accepted = true
		fx.Accept.Free()
	}
	if fx.Header != nil {
		s.say("response headers")
		fx.Header.Free()
	}
	for _, msg := range fx.Messages {
		s.must(s.outcomes == nil, "a message after the outcome")
		s.say("message of %d", len(msg.Buf.B))
		s.inbox = append(s.inbox, string(msg.Buf.B))
		s.unread = append(s.unread, msg)
	}
	if fx.RemoteEnd {
		s.say("request complete")
		s.remoteEnd = true
	}
	if fx.Outcome != nil {
		s.outcome(*fx.Outcome)
	}
	if fx.Done {
		s.done()
	}
}

func (s *side) outcome(o Outcome) {
	extra := ""
	if o.Unprocessed {
		extra += " unprocessed"
	}
	if o.Pushback {
		extra += " trailers-only"
	}
	if o.Reset {
		extra += " reset " + o.ResetCode.String()
	}
	if o.Fault != nil {
		extra += fmt.Sprintf(" fault %d", o.Fault.Kind)
	}
	text := o.Status.Message()
	if text != "" {
		text = " " + text
	}
	s.must(o.Code == o.Status.Code(), "outcome code %v of status %v", o.Code, o.Status)
	s.must((o.Status == nil) == (o.Code == codes.OK), "outcome %v with status %v", o.Code, o.Status)
	s.say("outcome %v%s%s", o.Code, extra, text)
	if o.Trailer != nil {
		o.Trailer.Free()
	}
	s.outcomes = append(s.outcomes, o)
}

func (s *side) done() {
	s.dones++
	s.owed = s.fx.Owed
	if s.owed > 0 {
		s.say("done, %d owed", s.owed)
	} else {
		s.say("done")
	}
	if s.m.cfg.Role == Server {
		s.must(s.lasts == 1, "%d Outgoings with Last", s.lasts)
		s.releaseUnread()
	}
}

func (s *side) releaseUnread() {
	for _, msg := range s.unread {
		msg.Buf.Release()
	}
	s.unread = nil
}

// request is what a client opens an RPC with.
func request() *header.Request {
	return &header.Request{Method: "/a.B/C", Authority: "x", Scheme: "http"}
}
