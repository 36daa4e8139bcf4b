package outbound

import (
	"fmt"

	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/internal/flow"
)

const (
	// maxData is the most DATA one stream sends per turn, whatever larger
	// MAX_FRAME_SIZE the peer allows: a larger frame gains nothing and makes
	// the others wait.
	maxData = frame.MinMaxFrameSize

	// directUpTo is how full Writes may be before a Step queues what it could
	// encode: the bytes of one write stay bounded however much a loopy writer
	// drains at once.
	directUpTo = 256 << 10

	defaultCopyBelow = 4 << 10
)

// Config is what a Queue has to know of its connection.
type Config struct {
	// Client says that we open the streams: HEADERS of ours come first.
	Client bool

	// CopyBelow is the length from which on a piece of payload is referenced
	// in place instead of copied into Head. 0 means 4 KiB; a connection that
	// cannot writev (TLS) sets it above 16 KiB to have everything copied.
	CopyBelow int
}

// Queue holds everything that waits to be written to one connection.
type Queue struct {
	cfg      Config
	enc      *frame.Encoder
	records  []record
	arena    arena
	heads    list // records whose next thing needs no window, as they came
	ring     list // records whose next thing is DATA, in the order of their turns
	conn     flow.Window
	peer     PeerSettings
	perFrame int               // most DATA octets per frame
	queued   int               // payload octets that wait, of all streams
	undated  []frame.SlotIndex // records that wait since the last Clock
	moved    int64             // when DATA was written last, Unix ns; see moving
	moving   bool              // moved is for the next Clock to say
	suspects []frame.SlotIndex // scratch of Evict
	fields   []frame.Field
	w        Writes // what steps have encoded; handed out by Fill
	broken   bool
}

// New makes the queue of a fresh connection: until the peer's SETTINGS come,
// the defaults of RFC 9113 6.5.2 apply.
func New(cfg Config, enc *frame.Encoder) *Queue {
	if cfg.CopyBelow == 0 {
		cfg.CopyBelow = defaultCopyBelow
	}
	return &Queue{
		cfg: cfg, enc: enc,
		heads: newList(), ring: newList(),
		conn: flow.NewWindow(frame.DefaultWindow),
		peer: PeerSettings{
			MaxFrameSize: frame.MinMaxFrameSize, InitialWindow: frame.DefaultWindow,
			HeaderTableSize: frame.DefaultTableSize,
		},
		perFrame: maxData,
	}
}

// Step takes one event: a type of messages.go. What can be encoded at once is,
// the rest waits for Fill.
//
// The error is the peer's fault: a *frame.StreamError, after which the stream
// is as it was and ought to be reset, or a *frame.ConnError.
func (q *Queue) Step(ev any) error {
	q.w.open()
	switch ev := ev.(type) {
	case *frame.Outgoing:
		q.send(ev, &q.w)
		return nil
	case *frame.Grant:
		return q.grant(ev)
	case frame.Control:
		q.control(ev)
		return nil
	case *PeerSettings:
		return q.settings(ev)
	case *frame.Drop:
		q.drop(ev, &q.w)
		return nil
	}
	panic(fmt.Sprintf("outbound: stepped with %T", ev))
}

// Buffered is how many octets steps have encoded since the last Fill.
func (q *Queue) Buffered() int { return q.w.N }

// Ready says that Fill has something to hand out. When it has not, nothing
// changes until the next Step.
func (q *Queue) Ready() bool {
	return q.w.N > 0 || len(q.w.Finished) > 0 || len(q.w.Rejected) > 0 || len(q.w.Release) > 0 ||
		!q.heads.empty() || (!q.ring.empty() && q.conn.Available() > 0)
}

// Queued is how many octets of payload wait.
func (q *Queue) Queued() int { return q.queued }

// Break drops everything that waits because the connection is lost, and all
// that is stepped later. Buffers are released, quotas told, and the slots whose
// Last was queued are in the Finished of the next Fill.
func (q *Queue) Break() {
	if q.broken {
		return
	}
	q.broken = true
	q.w.open()
	for s := range q.records {
		if r := &q.records[s]; r.phase < over {
			r.phase = over
			q.cut(frame.SlotIndex(s), r, &q.w)
		}
	}
	q.w.unwrite()
}

// control writes a control frame, ahead of everything that waits.
func (q *Queue) control(f frame.Control) {
	if !q.broken {
		before := len(q.w.Head)
		q.w.Head = frame.AppendControl(q.w.Head, f)
		q.w.N += len(q.w.Head) - before
	}
	switch f := f.(type) {
	case *frame.WindowUpdate:
		f.Free()
	case *frame.RSTStream:
		f.Free()
	}
}

// CopyBelow changes Config.CopyBelow, once the transport is known.
func (q *Queue) CopyBelow(n int) { q.cfg.CopyBelow = n }
