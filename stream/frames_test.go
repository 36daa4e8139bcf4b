package stream

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/stream/streamfsm"
)

func block(end bool, pairs ...string) *frame.Headers {
	h := frame.NewHeaders()
	h.StreamID, h.EndStream = 1, end
	for i := 0; i < len(pairs); i += 2 {
		h.Fields = append(h.Fields, frame.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return h
}

func octets(n int, end bool) *frame.Data {
	d := frame.NewData()
	d.StreamID, d.Size, d.Message, d.EndStream = 1, n+prefixLen, buffer.Get(n), end
	return d
}

// seen is what frames have come to.
type seen struct {
	Served, Messages, Done, Resets int
	Back                           int // octets given back, by Credit or with Done
	Over, Ended                    bool
	Code                           codes.Code
}

func (b *bench) seen(c *Call, held int) (s seen) {
	if len(b.served) > 0 {
		c = b.served[0]
	}
	s.Served, s.Done = len(b.served), b.done()
	for _, m := range b.conn { // as the connection accounts for it
		switch m := m.(type) {
		case *Credit:
			n := min(m.N, held)
			held -= n
			s.Back += n
		case *Done:
			s.Back += held - m.Owed
			held = m.Owed
		case *Reset, *Broken:
			s.Resets++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Messages, s.Over, s.Ended, s.Code = len(c.inbox), c.over, c.ended, c.outcome.Code
	return s
}

// Frames that came together do what they do one by one, also when the RPC ends,
// or the peer breaks a rule, among them.
func TestFramesTogetherAreFramesOneByOne(t *testing.T) {
	response := func() frame.Frame { return block(false, ":status", "200", "content-type", "application/grpc") }
	trailers := func() frame.Frame { return block(true, "grpc-status", "0") }
	request := func(end bool) func() frame.Frame {
		return func() frame.Frame {
			return block(end, ":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", "a",
				"content-type", "application/grpc", "te", "trailers")
		}
	}
	data := func(n int, end bool) func() frame.Frame { return func() frame.Frame { return octets(n, end) } }
	reset := func() frame.Frame { return frame.NewRSTStream(1, frame.Cancel) }
	for name, tt := range map[string]struct {
		role  streamfsm.Role
		unary bool
		list  []func() frame.Frame
	}{
		"unary response":           {streamfsm.Client, true, []func() frame.Frame{response, data(10, false), trailers}},
		"large unary response":     {streamfsm.Client, true, []func() frame.Frame{response, data(5000, false), trailers}},
		"streamed response":        {streamfsm.Client, false, []func() frame.Frame{response, data(10, false), trailers}},
		"DATA behind a reset":      {streamfsm.Client, false, []func() frame.Frame{reset, data(3000, false), data(4000, false)}},
		"DATA before HEADERS":      {streamfsm.Client, false, []func() frame.Frame{data(3000, false), response, trailers}},
		"a message too many":       {streamfsm.Client, true, []func() frame.Frame{response, data(10, false), data(20, false)}},
		"unary request":            {streamfsm.Server, false, []func() frame.Frame{request(false), data(10, true)}},
		"request and reset":        {streamfsm.Server, false, []func() frame.Frame{request(false), data(10, false), reset}},
		"DATA behind the end":      {streamfsm.Server, false, []func() frame.Frame{request(true), data(3000, false)}},
		"a request that is broken": {streamfsm.Server, false, []func() frame.Frame{func() frame.Frame { return block(false, ":method", "POST") }, data(3000, false), reset}},
	} {
		t.Run(name, func(t *testing.T) {
			var got [2]seen
			for i, together := range []bool{false, true} {
				b := newBench(t, tt.role)
				var c *Call
				if tt.role == streamfsm.Client {
					c = b.open(1, tt.unary)
				} else {
					c = NewCall()
				}
				held := 0
				m := NewFrames()
				for _, next := range tt.list {
					f := next()
					if d, ok := f.(*frame.Data); ok {
						held += d.Size
					}
					switch {
					case together:
						m.Add(f)
					default:
						b.ref.Tell(f)
					}
				}
				if together {
					b.ref.Tell(m)
				}
				got[i] = b.seen(c, held)
			}
			if diff := cmp.Diff(got[0], got[1]); diff != "" {
				t.Errorf("one by one (-), together (+):\n%s", diff)
			}
			if got[0] == (seen{}) {
				t.Error("nothing came of them")
			}
		})
	}
}
