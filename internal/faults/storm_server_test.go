package faults_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/callboard-rpc/callboard/internal/testpeer"
)

// farewell is what the GOAWAY of a connection says of the streams on it.
type farewell string

const (
	none    farewell = "none"     // none that waits was looked at
	exact   farewell = "exact"    // those that were asked in full by now
	most    farewell = "max"      // all that come
	twoStep farewell = "two-step" // max, and behind a PING the last that came
	fewer   farewell = "fewer"    // max, and then about half of those that wait
)

const highest = 1<<31 - 1

// storm is a server of raw frames that answers every stream with what it was
// sent, and says GOAWAY after a number of them on every connection.
type storm struct {
	t     testing.TB
	lis   net.Listener
	plan  func(connection int) (after int, kind farewell)
	conns sync.WaitGroup

	mu       sync.Mutex
	came     int
	cut      int            // connections that ended with streams on them
	executed map[string]int // answered, by call id
	refused  map[string]int // said not to be looked at
}

func newStorm(t testing.TB, plan func(int) (int, farewell)) *storm {
	t.Helper()
	s := &storm{t: t, lis: listen(t, "127.0.0.1:0"), plan: plan, executed: map[string]int{}, refused: map[string]int{}}
	s.conns.Go(func() {
		for {
			nc, err := s.lis.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			after, kind := s.plan(s.came)
			s.came++
			s.mu.Unlock()
			c := &gust{s: s, nc: nc, after: after, kind: kind, last: highest, streams: map[uint32]*asked{}}
			s.conns.Go(c.run)
		}
	})
	t.Cleanup(func() {
		_ = s.lis.Close()
		s.conns.Wait() // the client closes what is left
	})
	return s
}

func (s *storm) note(m map[string]int, id string) {
	s.mu.Lock()
	m[id]++
	s.mu.Unlock()
}

// gust is one connection of it.
type gust struct {
	s     *storm
	nc    net.Conn
	fr    *http2.Framer
	block bytes.Buffer
	hp    *hpack.Encoder
	after int
	kind  farewell

	streams  map[uint32]*asked
	waiting  []uint32 // asked in full and not answered, in order
	taken    int
	seen     uint32 // the highest id
	answered uint32 // the highest that was
	away     bool
	last     uint32
}

// asked is a request.
type asked struct {
	call string
	body []byte
}

// arrival is a frame that was read.
type arrival struct {
	kind http2.FrameType
	id   uint32
	call string
	data []byte
	end  bool
	ack  bool
	ping [8]byte
}

// patience is how long requests wait for others to wait with them.
const patience = time.Millisecond

func (c *gust) run() {
	defer func() { _ = c.nc.Close() }()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.nc, preface); err != nil {
		return
	}
	c.fr = http2.NewFramer(c.nc, c.nc)
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hp = hpack.NewEncoder(&c.block)
	_ = c.fr.WriteSettings()
	in := make(chan arrival)
	go c.read(in)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case f, ok := <-in:
			if !ok {
				c.over()
				return
			}
			c.take(f)
			if len(c.waiting) == 1 {
				timer.Reset(patience)
			}
		case <-timer.C:
			c.answerAll()
		}
	}
}

func (c *gust) over() {
	if len(c.waiting) > 0 {
		c.s.mu.Lock()
		c.s.cut++
		c.s.mu.Unlock()
	}
}

func (c *gust) read(in chan<- arrival) {
	defer close(in)
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			return
		}
		a := arrival{kind: f.Header().Type, id: f.Header().StreamID}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			a.kind, a.end = http2.FrameHeaders, f.StreamEnded()
			for _, h := range f.Fields {
				if h.Name == idKey {
					a.call = h.Value
				}
			}
		case *http2.DataFrame:
			a.data, a.end = slices.Clone(f.Data()), f.StreamEnded()
		case *http2.PingFrame:
			a.ping, a.ack = f.Data, f.IsAck()
		case *http2.SettingsFrame:
			a.ack = f.IsAck()
		}
		in <- a
	}
}

func (c *gust) take(f arrival) {
	switch f.kind {
	case http2.FrameSettings:
		if !f.ack {
			_ = c.fr.WriteSettingsAck()
		}
	case http2.FramePing:
		if f.ack {
			c.settle()
		} else {
			_ = c.fr.WritePing(true, f.ping)
		}
	case http2.FrameHeaders:
		c.seen = max(c.seen, f.id)
		if f.id > c.last {
			c.s.note(c.s.refused, f.call)
			return
		}
		c.streams[f.id] = &asked{call: f.call}
		c.complete(f)
	case http2.FrameData:
		if len(f.data) > 0 {
			_ = c.fr.WriteWindowUpdate(0, uint32(len(f.data)))
		}
		if q := c.streams[f.id]; q != nil {
			q.body = append(q.body, f.data...)
			c.complete(f)
		}
	case http2.FrameRSTStream:
		delete(c.streams, f.id)
		c.waiting = slices.DeleteFunc(c.waiting, func(id uint32) bool { return id == f.id })
	}
}

// complete notes the end of a request; the one that was awaited brings GOAWAY.
func (c *gust) complete(f arrival) {
	if !f.end {
		return
	}
	c.waiting = append(c.waiting, f.id)
	c.taken++
	if !c.away && c.taken >= c.after {
		c.goAway()
	}
}

func (c *gust) goAway() {
	c.away = true
	switch c.kind {
	case none:
		// What was answered cannot have been overlooked.
		c.say(c.answered)
	case exact:
		c.say(max(c.answered, slices.Max(c.waiting)))
	case fewer:
		c.say(highest)
		ids := slices.Sorted(slices.Values(c.waiting))
		c.say(max(c.answered, ids[len(ids)/2]))
	case most:
		c.say(highest)
	case twoStep:
		c.say(highest)
		_ = c.fr.WritePing(false, [8]byte{1})
		return
	}
	c.answerAll()
}

// settle is the second step.
func (c *gust) settle() {
	c.say(c.seen)
	c.answerAll()
}

// say sends GOAWAY, and forgets what is beyond it.
func (c *gust) say(last uint32) {
	c.last = last
	_ = c.fr.WriteGoAway(last, http2.ErrCodeNo, nil)
	for id, q := range c.streams {
		if id > last {
			c.s.note(c.s.refused, q.call)
			delete(c.streams, id)
		}
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(id uint32) bool { return id > last })
}

func (c *gust) answerAll() {
	rand.Shuffle(len(c.waiting), func(i, j int) { c.waiting[i], c.waiting[j] = c.waiting[j], c.waiting[i] })
	for _, id := range c.waiting {
		q := c.streams[id]
		delete(c.streams, id)
		c.answered = max(c.answered, id)
		c.s.note(c.s.executed, q.call)
		c.headers(id, testpeer.Response(), false)
		_ = c.fr.WriteData(id, false, q.body)
		c.headers(id, testpeer.Status(0, ""), true)
	}
	c.waiting = c.waiting[:0]
}

func (c *gust) headers(id uint32, fields testpeer.Fields, end bool) {
	c.block.Reset()
	for _, f := range fields {
		_ = c.hp.WriteField(f)
	}
	_ = c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: end})
}
