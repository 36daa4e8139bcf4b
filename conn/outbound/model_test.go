package outbound

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

// modelStream is what a stream ought to look like on the wire, and what it has
// looked like so far. Both are scripts of bytes: DATA as it is (lower case),
// H<value>. for a header block, E for END_STREAM, R for RST_STREAM.
type modelStream struct {
	id         frame.StreamID
	slot       int
	want, got  []byte
	window     int64
	closed     bool // the script is complete: END_STREAM posted, reset or dropped
	dead       bool // reset or dropped: nothing more is posted
	gone       bool // by an immediate reset or a drop
	last       bool // Last was posted
	finished   int
	lastFrame  int // number of its latest DATA frame
	eligibleAt int // number of DATA frames when it began to be able to send; -1: cannot
	outgoings  int
}

// model is the naive reference: it knows what was posted, granted and set, and
// checks every frame against that.
type model struct {
	t       *rapid.T
	q       *Queue
	p       *peer
	client  bool
	slots   []*modelStream // current occupants
	streams []*modelStream
	byID    map[frame.StreamID]*modelStream
	quotas  []*flow.Quota
	budget  *flow.Budget
	conn    int64
	peer    PeerSettings // as stepped
	applied PeerSettings // as acknowledged on the wire
	pending []PeerSettings
	nextID  frame.StreamID
	opened  frame.StreamID
	frames  int
	pings   int  // posted and not seen yet
	eager   bool // read after every post, so that turns can be told apart
	ledger
}

func TestQueueAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			t: t, client: rapid.Bool().Draw(t, "client"), eager: rapid.Bool().Draw(t, "eager"), p: newPeer(), nextID: 1,
			byID: map[frame.StreamID]*modelStream{}, conn: frame.DefaultWindow,
			peer: PeerSettings{MaxFrameSize: frame.MinMaxFrameSize, InitialWindow: frame.DefaultWindow, HeaderTableSize: frame.DefaultTableSize},
		}
		m.applied = m.peer
		m.q = New(Config{Client: m.client, CopyBelow: rapid.SampledFrom([]int{0, 100, 1 << 20}).Draw(t, "copyBelow")}, frame.NewEncoder())
		m.p.fr.SetMaxReadFrameSize(frame.MinMaxFrameSize)
		m.budget = flow.NewBudget(1<<14, nil)
		for range rapid.IntRange(1, 5).Draw(t, "slots") {
			m.slots = append(m.slots, nil)
			m.quotas = append(m.quotas, flow.NewQuota(1, m.budget))
		}
		t.Repeat(map[string]func(*rapid.T){
			"post":     m.post,
			"post2":    m.post,
			"reset":    m.reset,
			"drop":     m.drop,
			"stale":    m.stale,
			"grant":    m.grant,
			"grant0":   m.grantConnection,
			"settings": m.settings,
			"ping":     m.ping,
			"fill":     m.fill,
		})
		m.drain()
	})
}

// occupant returns a slot's stream, a new one if the last has ended.
func (m *model) occupant(t *rapid.T) *modelStream {
	i := rapid.IntRange(0, len(m.slots)-1).Draw(t, "slot")
	s := m.slots[i]
	if s == nil || s.finished > 0 || (s.closed && bytes.Equal(s.want, s.got) && m.quotas[i].Drained()) {
		s = &modelStream{id: m.nextID, slot: i, window: int64(m.peer.InitialWindow), lastFrame: -1, eligibleAt: -1}
		m.nextID += 2
		m.slots[i], m.byID[s.id], m.streams = s, s, append(m.streams, s)
		if m.client { // its id is taken by opening it
			o := m.newOutgoing(s, rapid.SampledFrom([]int{0, 3, 20000}).Draw(t, "first"))
			m.open(s, o)
			m.step(o)
		}
	}
	return s
}

// open puts the stream's first header block in front of o.
func (m *model) open(s *modelStream, o *frame.Outgoing) {
	v := fmt.Sprint("V", s.id%7)
	o.Header = block(v)
	s.want = append(s.want, "H"+v+"."...)
	if o.Payload != nil {
		s.want = append(s.want, o.Payload.B...)
	}
	s.outgoings++
}

// newOutgoing fills in what all share, and counts it with its quota.
func (m *model) newOutgoing(s *modelStream, payload int) *frame.Outgoing {
	o := frame.NewOutgoing()
	o.StreamID, o.Slot = s.id, frame.SlotIndex(s.slot)
	if payload > 0 {
		p := make([]byte, payload)
		for i := range p {
			p[i] = 'a' + byte((len(s.want)+i*7+int(s.id))%26)
		}
		o.Payload = m.payload(p)
	}
	o.Quota = m.quotas[s.slot]
	o.Quota.Enqueued(payload + 1)
	return o
}

func (m *model) post(t *rapid.T) {
	s := m.occupant(t)
	n := rapid.SampledFrom([]int{0, 0, 1, 10, 100, 4095, 4096, 16384, 16385, 50000}).Draw(t, "payload")
	end := rapid.IntRange(0, 3).Draw(t, "end") == 0
	last := rapid.Bool().Draw(t, "last")
	if s.dead || s.closed {
		if s.last {
			return
		}
		o := m.newOutgoing(s, 0) // nothing may follow but Last
		o.Last, s.last = true, true
		m.step(o)
		return
	}
	o := m.newOutgoing(s, n)
	if s.outgoings == 0 {
		m.open(s, o)
	} else if o.Payload != nil {
		s.want = append(s.want, o.Payload.B...)
	}
	if end {
		s.closed = true
		if m.client || rapid.Bool().Draw(t, "plain") {
			o.EndStream = true
		} else {
			o.Trailer = block("T")
			s.want = append(s.want, "HT."...)
		}
		s.want = append(s.want, 'E')
		if rapid.IntRange(0, 3).Draw(t, "after") == 0 {
			o.Reset, o.After, s.dead = true, true, true
			s.want = append(s.want, 'R')
		}
		o.Last, s.last = last, last
	}
	m.step(o)
}

// reset ends a stream at once. What has left is what the stream will ever have
// looked like, so everything that steps have encoded is read first.
func (m *model) reset(t *rapid.T) {
	s := m.occupant(t)
	if s.finished > 0 {
		return
	}
	m.read(0)
	o := m.newOutgoing(s, rapid.IntRange(0, 20).Draw(t, "payload"))
	o.Reset, o.Code, o.Last = true, frame.Cancel, rapid.Bool().Draw(t, "last")
	if !s.over() {
		s.want = bytes.Clone(s.got)
		if len(s.got) > 0 || !m.client {
			s.want = append(s.want, 'R')
		}
	}
	s.last = s.last || o.Last
	s.dead, s.closed, s.gone = true, true, true
	m.step(o)
}

// over says that nothing of the stream can reach the wire any more.
func (s *modelStream) over() bool {
	return s.gone || s.finished > 0 || bytes.HasSuffix(s.got, []byte{'R'})
}

func (m *model) drop(t *rapid.T) {
	s := m.occupant(t)
	if s.finished > 0 || rapid.IntRange(0, 2).Draw(t, "really") != 0 {
		return
	}
	m.read(0)
	s.want = bytes.Clone(s.got)
	s.dead, s.closed, s.gone = true, true, true
	m.step(&frame.Drop{StreamID: s.id, Slot: frame.SlotIndex(s.slot)})
}

// stale sends something of an earlier occupant.
func (m *model) stale(t *rapid.T) {
	i := rapid.IntRange(0, len(m.slots)-1).Draw(t, "slot")
	s := m.slots[i]
	if s == nil || s.id < 3 || s.outgoings == 0 {
		return
	}
	old := &modelStream{id: s.id - 2, slot: i}
	if rapid.Bool().Draw(t, "grant") {
		m.step(grant(old.id, frame.SlotIndex(i), 1000))
		return
	}
	o := m.newOutgoing(old, 30)
	o.Header, o.Last = block("stale"), true
	m.step(o)
}

func (m *model) grant(t *rapid.T) {
	s := m.occupant(t)
	n := rapid.SampledFrom([]int{1, 5, 1000, 16384, 70000}).Draw(t, "n")
	m.read(0)
	s.window += int64(n)
	m.step(grant(s.id, frame.SlotIndex(s.slot), uint32(n)))
	m.eligible()
}

func (m *model) grantConnection(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 5, 1000, 16384, 200000}).Draw(t, "n")
	m.read(0)
	m.conn += int64(n)
	m.step(grant(0, frame.NoSlot, uint32(n)))
	m.eligible()
}

func (m *model) settings(t *rapid.T) {
	// No small table: x/net's decoder refuses a second table size update in a
	// block unless the first has emptied the table.
	p := PeerSettings{
		MaxFrameSize:    rapid.SampledFrom([]uint32{0, 16384, 20000, 1 << 20}).Draw(t, "frame"),
		InitialWindow:   rapid.SampledFrom([]uint32{0, 1, 5000, 65535, 300000}).Draw(t, "window"),
		HeaderTableSize: rapid.SampledFrom([]uint32{0, 4096, 10000}).Draw(t, "table"),
	}
	m.step(&p)
	if p.MaxFrameSize == 0 {
		p.MaxFrameSize = m.peer.MaxFrameSize
	}
	m.peer = p
	m.pending = append(m.pending, p)
	m.step(&frame.Settings{Ack: true})
	m.read(0)
}

func (m *model) ping(*rapid.T) {
	m.pings++
	m.step(&frame.Ping{})
	m.read(0)
	if m.pings != 0 {
		m.t.Fatalf("a control frame waited")
	}
}

func (m *model) fill(t *rapid.T) {
	m.read(rapid.SampledFrom([]int{1, 500, 20000, 1 << 20}).Draw(t, "limit"))
}

func (m *model) step(ev any) {
	if err := m.q.Step(ev); err != nil {
		m.t.Fatalf("%T: %v", ev, err)
	}
	if m.eager {
		m.read(0)
	}
}
