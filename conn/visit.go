package conn

import (
	"net"
	"time"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// While a connection has a single stream nobody else is about to post, so there
// is nothing to gather, and waking loopy's goroutine would cost more than the
// write itself. Then whoever posts visits: it runs loopy on its own stack and
// tries the socket, which never blocks. What the socket does not take at once is
// left to loopy's goroutine.

// visitBelow is how large a write a visitor tries, in octets.
const visitBelow = 8 << 10

// tryable finds out whether the socket can be written without blocking.
func (l *loopy) tryable(nc net.Conn) {
	sc, ok := plain(nc)
	if !ok || !canPoll {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	l.raw, l.try = raw, l.writeOnce
	l.open.Store(true)
}

// mayVisit is asked on any goroutine.
func (l *loopy) mayVisit(msg any) bool {
	if _, ok := msg.(*quiet); ok {
		return l.open.Load() // it is not worth a goroutine
	}
	o, ok := msg.(*frame.Outgoing)
	return ok && l.alone.Load() && l.open.Load() && (o.Payload == nil || len(o.Payload.B) < visitBelow)
}

// visited writes what a visitor has brought, and says whether all of it left.
func (l *loopy) visited() bool {
	if l.broken || l.closing || l.begun || l.q.Buffered() >= visitBelow {
		return false
	}
	if !l.q.Ready() && l.q.Queued() == 0 {
		return true // nothing to write with
	}
	w := l.scratch()
	l.q.Fill(w, visitBelow)
	if n := len(w.Finished); n > 0 {
		l.leaving.Add(int32(n)) // before the peer can know
	}
	if w.N > 0 {
		if len(w.Segments) > 0 || !l.tryWrite() {
			l.begun = true
			return false
		}
	}
	l.written(w)
	if l.q.Queued() > 0 {
		l.relieve()
		l.watchStalls()
	}
	return !l.q.Ready()
}

// tryWrite says whether the whole of l.w was written. What was not is kept, and
// so is the socket's error: it says what it has died of only once.
func (l *loopy) tryWrite() bool {
	now := time.Now()
	l.clock.Set(now)
	l.q.Clock(now)
	l.wrote = 0
	if err := l.raw.Write(l.try); err != nil || l.tried != nil {
		return false // without an error of the socket, loopy's own write finds out
	}
	if l.wrote == l.w.N {
		l.bytes.Add(uint64(l.wrote))
		l.flushes.Add(1)
		return true
	}
	l.w.Head = l.w.Head[:copy(l.w.Head, l.w.Head[l.wrote:])]
	l.w.N = len(l.w.Head)
	l.bytes.Add(uint64(l.wrote))
	return false
}

func (l *loopy) writeOnce(fd uintptr) bool {
	var n int
	n, l.tried = writeFD(fd, l.w.Head)
	if again(l.tried) {
		n, l.tried = 0, nil
	}
	l.wrote = max(n, 0)
	return true
}

// goOn finishes a write that a visitor has begun.
func (l *loopy) goOn() {
	l.begun = false
	if !l.broken {
		err := l.tried
		if l.tried = nil; err != nil {
			err = socketError("write", l.nc, err)
		} else {
			err = l.write(l.w)
		}
		if err != nil {
			l.fail(err)
		}
	}
	l.written(l.w)
}
