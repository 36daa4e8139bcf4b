package connfsm

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

// TestEveryMessageArrives lets a peer that keeps to its windows send messages of
// all sizes on many streams, in turns, to a connection whose budgets are tiny,
// while applications read when they like and messages between the machines take
// as long as they like. Whatever the order, everything arrives, nothing is
// refused, and the budgets are as empty as they were.
func TestEveryMessageArrives(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		t.Run(role.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				c := newCrowd(t, role)
				for steps := 0; c.left > 0; steps++ {
					if steps > 100_000 {
						c.stuck("goes on for ever")
					}
					c.anything()
				}
				c.check()
			})
		})
	}
}

const crowdWindow = 4000 // of each stream in the beginning

// crowd is a connection with its streams, their applications and the peer.
type crowd struct {
	t       *rapid.T
	role    Role
	now     time.Time
	m       *Machine
	process *flow.Budget
	growth  *flow.Budget
	room    int // of the connection's window, as the peer sees it
	streams []*member
	turn    int
	left    int
	others  int     // octets that other connections hold of the process
	ticks   int     // since nothing else could be done
	toConn  []Event // what streams have told the connection
}

// member is one stream, and what the peer sends on it.
type member struct {
	slot   frame.SlotIndex
	id     frame.StreamID
	m      *streamfsm.Machine
	window int   // as the peer sees it
	queue  []int // messages to be sent, prefix included
	gone   int   // octets of the first that are sent
	ended  bool
	inbox  []streamfsm.Event // what the connection has told the stream
	unread []int
	owed   int
	got    int
	want   int
	unary  bool
	half   bool // the request is complete
	done   bool // the machine is
}

func newCrowd(t *rapid.T, role Role) *crowd {
	c := &crowd{t: t, role: role, now: epoch, room: frame.DefaultWindow}
	// The largest message fits the process, whatever else is held.
	c.process = flow.NewBudget(rapid.SampledFrom([]int64{100_000, 1 << 30}).Draw(t, "process"), nil)
	share := flow.NewBudget(c.process.Limit()/4*3, c.process)
	c.growth = flow.NewBudget(rapid.SampledFrom([]int64{1, 700, 10_000, 60_000}).Draw(t, "growth"), share)
	c.m = New(Config{
		Role: role, InitialWindow: crowdWindow, ConnWindow: 65535, MaxConnWindow: 65535, Growth: c.growth,
		HandshakeTimeout: -1, SettingsTimeout: -1, GlitchBurst: -1, Keepalive: Keepalive{Time: -1},
	})
	c.step(&Start{})
	c.step(&frame.Settings{})
	c.others = rapid.SampledFrom([]int{0, int(c.process.Limit()) - 1000}).Draw(t, "others")
	c.process.Force(c.others)
	n := rapid.IntRange(1, 50).Draw(t, "streams")
	sizes := rapid.SampledFrom([][]int{{10, 100, 3900}, {4100, 9000}, {40_000}, {10, 4000, 4005, 9000, 40_000}}).Draw(t, "sizes")
	for i := range n {
		s := &member{id: frame.StreamID(2*i + 1), window: crowdWindow}
		s.unary = role == Client && rapid.Bool().Draw(t, "unary")
		messages := 1
		if !s.unary {
			messages = rapid.IntRange(0, 3).Draw(t, "messages")
		}
		for range messages {
			s.queue = append(s.queue, rapid.SampledFrom(sizes).Draw(t, "size"))
		}
		s.want = len(s.queue)
		c.begin(s)
	}
	return c
}

// begin opens a stream.
func (c *crowd) begin(s *member) {
	c.streams = append(c.streams, s)
	c.left++
	cfg := streamfsm.Config{Role: streamfsm.Role(c.role), InitialWindow: crowdWindow, Growth: c.growth}
	if c.role == Client {
		fx := c.step(&Open{Ref: s})
		s.slot = fx.Opened[0].Slot
		s.m = streamfsm.New(cfg)
		c.tell(s, &streamfsm.Open{StreamID: s.id, Slot: s.slot, Header: &header.Request{Method: "/a.B/C"}, EndStream: true, Unary: s.unary})
		c.step(&frame.Headers{StreamID: s.id, Fields: []frame.Field{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc"}}})
		return
	}
	s.slot = frame.SlotIndex(len(c.streams) - 1)
	cfg.Slot = s.slot
	s.m = streamfsm.New(cfg)
	c.step(&frame.Headers{StreamID: s.id, Fields: []frame.Field{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/a.B/C"},
		{Name: ":authority", Value: "x"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}})
}

// anything does something that can be done. There always is.
func (c *crowd) anything() {
	var can []func() bool
	can = append(can, c.send, c.read, c.deliverToConn, c.deliverToStream)
	first := rapid.IntRange(0, len(can)-1).Draw(c.t, "what")
	for i := range can {
		if can[(first+i)%len(can)]() {
			c.ticks = 0
			return
		}
	}
	// Others return what they have while the connection asks for it.
	if at := c.m.armed; !at.IsZero() && c.ticks < 5 {
		c.ticks++
		if c.ticks == 3 {
			c.process.Refund(c.others)
			c.others = 0
		}
		c.now = at
		c.step(&Tick{})
		return
	}
	c.stuck("stuck")
}

func (c *crowd) stuck(how string) {
	for _, s := range c.streams {
		if !s.done {
			c.t.Logf("stream %v: sends %v (%d gone) window %d; %+v", s.id, s.queue, s.gone, s.window, s.m.View())
		}
	}
	c.t.Fatalf("%s: %+v, the peer may send %d; growth %d of %d, process %d", how, c.m.View().Window, c.room, c.growth.Used(), c.growth.Limit(), c.process.Used())
}

// send lets the peer send one frame on the stream whose turn it is.
func (c *crowd) send() bool {
	for range c.streams {
		s := c.streams[c.turn%len(c.streams)]
		c.turn++
		switch {
		case s.ended:
		case len(s.queue) == 0:
			s.ended = true
			if c.role == Server {
				c.step(&frame.Data{StreamID: s.id, EndStream: true})
			} else {
				c.step(&frame.Headers{StreamID: s.id, EndStream: true, Fields: []frame.Field{{Name: "grpc-status", Value: "0"}}})
			}
			return true
		default:
			n := min(s.window, c.room, 4000, s.queue[0]-s.gone)
			if n == 0 {
				continue
			}
			c.data(s, n)
			return true
		}
	}
	return false
}

func (c *crowd) data(s *member, n int) {
	s.window -= n
	c.room -= n
	s.gone += n
	d := &frame.Data{StreamID: s.id, Size: n, Pending: s.queue[0] - s.gone}
	if s.gone < prefixLen {
		d.Pending = prefixLen - s.gone // all that the reader knows
	}
	if d.Pending == 0 {
		d.Message = buffer.Wrap(make([]byte, s.queue[0]-prefixLen))
		s.queue, s.gone = s.queue[1:], 0
	}
	c.step(d)
}

// read lets an application read a message.
func (c *crowd) read() bool {
	first := rapid.IntRange(0, len(c.streams)-1).Draw(c.t, "reader")
	for i := range c.streams {
		s := c.streams[(first+i)%len(c.streams)]
		if len(s.unread) == 0 || s.unary {
			continue
		}
		n := s.unread[0]
		s.unread = s.unread[1:]
		if s.done {
			n = min(n, s.owed)
			s.owed -= n
			c.toConn = append(c.toConn, &Credit{Slot: s.slot, ID: s.id, N: n})
		} else {
			c.tell(s, &streamfsm.Consumed{StreamID: s.id, N: n})
		}
		return true
	}
	return false
}

func (c *crowd) deliverToConn() bool {
	if len(c.toConn) == 0 {
		return false
	}
	ev := c.toConn[0]
	c.toConn = c.toConn[1:]
	c.step(ev)
	return true
}

func (c *crowd) deliverToStream() bool {
	first := rapid.IntRange(0, len(c.streams)-1).Draw(c.t, "stream")
	for i := range c.streams {
		s := c.streams[(first+i)%len(c.streams)]
		if len(s.inbox) > 0 {
			ev := s.inbox[0]
			s.inbox = s.inbox[1:]
			c.tell(s, ev)
			return true
		}
	}
	return false
}

// step steps the connection.
func (c *crowd) step(ev Event) *Effects {
	var fx Effects
	if err := c.m.Step(ev, c.now, &fx); err != nil {
		c.t.Fatalf("%T ended the connection: %v", ev, err)
	}
	check(c.t, c.m)
	for _, f := range fx.Control {
		if w, ok := f.(*frame.WindowUpdate); ok {
			c.room += int(w.Increment)
		}
	}
	for _, r := range fx.Route {
		if d, ok := r.Frame.(*frame.Data); ok && d.Fault != nil {
			c.t.Fatalf("stream %v is refused its message", r.ID)
		}
		s := c.streams[r.ID/2]
		s.inbox = append(s.inbox, r.Frame)
	}
	for _, g := range fx.Grow {
		s := c.streams[g.ID/2]
		s.inbox = append(s.inbox, &streamfsm.Grow{StreamID: g.ID, N: g.N})
	}
	return &fx
}

// tell steps a stream.
func (c *crowd) tell(s *member, ev streamfsm.Event) {
	var fx streamfsm.Effects
	if err := s.m.Step(ev, c.now, &fx); err != nil {
		c.t.Fatalf("stream %v: %v", s.id, err)
	}
	for _, f := range fx.Control {
		s.window += int(f.(*frame.WindowUpdate).Increment)
	}
	if fx.Credit > 0 {
		c.toConn = append(c.toConn, &Credit{Slot: s.slot, ID: s.id, N: fx.Credit})
	}
	if fx.Starved > 0 {
		c.toConn = append(c.toConn, &Starved{Slot: s.slot, ID: s.id, N: fx.Starved})
	}
	if fx.Returned {
		c.toConn = append(c.toConn, &Returned{})
	}
	for _, m := range fx.Messages {
		s.got++
		if !s.unary {
			s.unread = append(s.unread, len(m.Buf.B)+prefixLen)
		}
		m.Buf.Release()
	}
	s.half = s.half || fx.RemoteEnd
	if fx.Done {
		s.done, s.owed = true, fx.Owed
		c.left--
		c.toConn = append(c.toConn, &Done{Slot: s.slot, ID: s.id, Owed: fx.Owed})
	}
	if c.role == Server && s.half && !s.done && len(s.unread) == 0 {
		c.tell(s, &streamfsm.Finish{StreamID: s.id, Trailer: &header.Trailer{}})
	}
}

// check looks at what is left when all streams have ended.
func (c *crowd) check() {
	for busy := true; busy; {
		busy = c.deliverToConn() || c.deliverToStream() || c.read()
	}
	for _, s := range c.streams {
		if s.got != s.want {
			c.t.Fatalf("stream %v: %d of %d messages", s.id, s.got, s.want)
		}
	}
	w := c.m.View().Window
	if c.growth.Used() != 0 || c.process.Used() != int64(c.others) || w.Starving != 0 || w.Held != 0 || w.Lent != 0 || w.Size != 65535 {
		c.t.Fatalf("left behind: growth %d, process %d, %+v", c.growth.Used(), c.process.Used(), w)
	}
	if c.room != w.Available {
		c.t.Fatalf("the peer thinks it may send %d: %+v", c.room, w)
	}
	if most := max(c.growth.Limit()/2, 0) + 40_000; c.growth.Peak() > max(c.growth.Limit(), most) {
		c.t.Fatalf("windows have grown by %d at most", c.growth.Peak())
	}
}
