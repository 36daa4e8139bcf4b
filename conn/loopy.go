package conn

import (
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
	"github.com/callboard-rpc/callboard/conn/outbound"
	"github.com/callboard-rpc/callboard/internal/flow"
	"github.com/callboard-rpc/callboard/stream"
)

const (
	yieldBelow  = 8 << 10   // with less than this gathered, look once more before writing
	flushUpTo   = 512 << 10 // octets of one flush
	copyUpTo    = 64 << 10  // the same where they have to be copied
	deadlineRun = 5 * time.Second
)

// loopy is the actor that writes.
//
// Role: frames -> bytes. It owns the HPACK encoder and the send windows
// (package outbound) and is the only one that writes the socket.
//
// Messages in: *frame.Outgoing and frame.Control from streams and connection,
// *frame.Grant, *connfsm.PeerSettings, socket, quiet, finish from the connection.
//
// Messages out, to the connection: flushed, writeEnded, shut.
//
// States: waiting (for the socket), writing, broken (nothing is written any
// more; streams are still told that theirs is over).
//
// Supervision: a panic escalates, because the HPACK state is unknown then.
type loopy struct {
	rules    *rules
	budget   *flow.Budget // for what waits to be written; nil: none
	q        *outbound.Queue
	w        *outbound.Writes // nil: nothing was written since the connection came to rest
	nc       net.Conn
	limit    int // octets of one flush
	conn     actors.Ref[any]
	leaving  *atomic.Int32 // streams reported as finished by a flush that the connection has not seen
	self     actors.Ref[any]
	clock    *stream.Clock
	timer    *actors.Timer // nil: nothing has waited for window yet
	yielded  bool
	broken   bool
	closing  bool
	over     bool          // more waits than may, when last looked at
	watching time.Duration // what the stall timer is set to; 0: it is not
	until    time.Time     // the write deadline in force
	bufs     net.Buffers
	hurry    atomic.Pointer[time.Time] // the connection closes: what is written by then is written
	alone    *atomic.Bool              // one stream is live, at most
	raw      syscall.RawConn           // nil: the socket cannot be tried
	try      func(fd uintptr) bool     // writeOnce, bound once
	wrote    int                       // what writeOnce wrote
	tried    error
	open     atomic.Bool  // raw can be tried
	begun    bool         // a write of l.w is under way, and the rest is to be written
	since    atomic.Int64 // unix nanoseconds since when a write blocks; 0: none does
	flushes  atomic.Uint64
	bytes    atomic.Uint64
}

// Receive implements actor.Actor. It only gathers; drained writes.
func (l *loopy) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *frame.Outgoing, *frame.Grant, *frame.Drop, frame.Control, *outbound.PeerSettings:
		l.step(m)
	case *socket:
		l.socket(m)
	case *finish:
		l.closing = true
	case *stallCheck:
		l.stalled(m)
	case *quiet:
		l.rest()
	case *actor.Stopping:
		if l.timer != nil {
			l.timer.Close()
		}
	case *actor.Started, *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

// socket begins the writing; a client says first what it speaks (RFC 9113 3.4).
func (l *loopy) socket(m *socket) {
	l.nc, l.limit = m.nc, flushUpTo
	if _, tcp := m.nc.(*net.TCPConn); !tcp {
		// Only a bare TCP socket gathers slices in one write; for others payloads
		// are copied into one, and less of it at a time.
		l.q.CopyBelow(2 * frame.MinMaxFrameSize)
		l.limit = copyUpTo
	} else {
		l.tryable(m.nc)
	}
	l.self.Probe().SetState("writing")
	if l.rules.role == connfsm.Client {
		if _, err := l.nc.Write([]byte(frame.Preface)); err != nil {
			l.fail(err)
		}
	}
}

// scratch is what is written next.
func (l *loopy) scratch() *outbound.Writes {
	if l.w == nil {
		l.w = new(outbound.Writes)
	}
	return l.w
}

// rest gives back what is only of use while something is written.
func (l *loopy) rest() {
	if !l.begun {
		l.w, l.bufs = nil, nil
	}
}

// fail ends the writing. Streams are still told that what they send is gone.
func (l *loopy) fail(err error) {
	l.broken = true
	l.self.Probe().SetState("broken")
	l.q.Break()
	l.conn.Tell(&writeEnded{err: err})
}

func (l *loopy) step(m any) {
	slot := frame.NoSlot
	if g, ok := m.(*frame.Grant); ok {
		slot = g.Slot
	}
	if err := l.q.Step(m); err != nil { // m is the queue's from here on
		l.breach(slot, err)
	}
}

// breach passes on that the peer granted more than a window can hold.
func (l *loopy) breach(slot frame.SlotIndex, err error) {
	var se *frame.StreamError
	if errors.As(err, &se) {
		l.conn.Tell(&streamFailed{slot: slot, err: se})
		return
	}
	l.conn.Tell(&writeEnded{err: err})
}

// drained runs when the mailbox is empty. Before a small write it gives way
// once: whoever is about to post (callers just woken, handlers just finished)
// then shares the write. This is the most valuable line of the product.
func (l *loopy) drained() (again bool) {
	if l.nc == nil && !l.broken && !l.closing {
		return false
	}
	if !l.yielded && !l.begun && l.q.Buffered() < yieldBelow {
		l.yielded = true
		runtime.Gosched()
		return true
	}
	l.yielded = false
	if l.begun {
		l.goOn()
	}
	for l.q.Ready() {
		l.flush()
	}
	l.relieve()
	l.watchStalls()
	if l.closing {
		l.closing = false
		l.shut()
	}
	return false
}

// flush writes once.
func (l *loopy) flush() {
	w := l.scratch()
	l.q.Fill(w, l.limit)
	if n := len(w.Finished); n > 0 {
		l.leaving.Add(int32(n)) // before the peer can know
	}
	if w.N > 0 && !l.broken {
		if err := l.write(w); err != nil {
			l.fail(err)
		}
	}
	l.written(w)
}

// written is what follows a write.
func (l *loopy) written(w *outbound.Writes) {
	if len(w.Finished) > 0 || len(w.Rejected) > 0 || w.DataFrames+w.HeaderBlocks > 0 {
		l.report(w)
	}
	w.Reset()
}

func (l *loopy) write(w *outbound.Writes) (err error) {
	now := time.Now()
	l.clock.Set(now)
	l.q.Clock(now)
	// A deadline per write would be a timer per write: one that is renewed
	// every few seconds bounds a stalled write just as well.
	if stall := l.rules.writeStall; stall > 0 && now.After(l.until) {
		run := min(deadlineRun, stall)
		l.until = now.Add(run)
		if err := l.nc.SetWriteDeadline(now.Add(run + stall)); err != nil {
			return err
		}
		if due := l.hurry.Load(); due != nil { // set before the connection shortened the deadline
			_ = l.nc.SetWriteDeadline(*due)
		}
	}
	l.since.Store(now.UnixNano())
	if len(w.Segments) == 0 {
		_, err = l.nc.Write(w.Head)
	} else {
		l.bufs = append(l.bufs[:0], w.Segments...)
		_, err = (&l.bufs).WriteTo(l.nc)
	}
	l.since.Store(0)
	l.flushes.Add(1)
	l.bytes.Add(uint64(w.N))
	return err
}

func (l *loopy) report(w *outbound.Writes) {
	f := newFlushed()
	f.finished = append(f.finished, w.Finished...)
	f.rejected = append(f.rejected, w.Rejected...)
	f.dataFrames, f.headerBlocks = w.DataFrames, w.HeaderBlocks
	l.conn.Tell(f)
}

func (l *loopy) shut() {
	l.broken = true
	l.q.Break()
	for l.q.Ready() {
		l.flush()
	}
	if l.nc != nil {
		_ = l.nc.Close()
	}
	l.conn.Tell(&shut{})
}
