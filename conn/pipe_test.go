package conn

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the two ends of a buffered in-memory connection: a socket for
// bubbles. A write blocks while room octets are unread.
func pipe(room int) (a, b *pipeEnd) {
	x, y := newHalf(room), newHalf(room)
	return &pipeEnd{in: x, out: y}, &pipeEnd{in: y, out: x}
}

// half is one direction.
type half struct {
	mu            sync.Mutex
	buf           []byte
	room          int
	ended         bool  // nothing more is written
	broken        error // what reading and writing return at once
	rDue, wDue    time.Time
	changed       chan struct{}
	written, read int
	panics        bool // the next Read panics
}

func newHalf(room int) *half { return &half{room: room, changed: make(chan struct{})} }

func (h *half) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.tell()
}

func (h *half) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// wait gives the lock up until something changes or due comes.
func (h *half) wait(due time.Time) {
	ch := h.changed
	h.mu.Unlock()
	defer h.mu.Lock()
	if due.IsZero() {
		<-ch
		return
	}
	tm := time.NewTimer(time.Until(due))
	defer tm.Stop()
	select {
	case <-ch:
	case <-tm.C:
	}
}

func past(due time.Time) bool { return !due.IsZero() && !time.Now().Before(due) }

// pipeEnd is a net.Conn.
type pipeEnd struct {
	in, out *half
	once    sync.Once
}

func (e *pipeEnd) Read(p []byte) (int, error) {
	h := e.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.panics:
			panic("the socket panics")
		case h.broken != nil:
			return 0, h.broken
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.read += n
			h.tell()
			return n, nil
		case h.ended:
			return 0, io.EOF
		case past(h.rDue):
			return 0, os.ErrDeadlineExceeded
		}
		h.wait(h.rDue)
	}
}

func (e *pipeEnd) Write(p []byte) (n int, err error) {
	h := e.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.broken != nil:
			return n, h.broken
		case h.ended:
			return n, net.ErrClosed
		case past(h.wDue):
			return n, os.ErrDeadlineExceeded
		}
		m := min(len(p)-n, h.room-len(h.buf))
		h.buf = append(h.buf, p[n:n+m]...)
		n += m
		h.written += m
		h.tell()
		if n == len(p) {
			return n, nil
		}
		h.wait(h.wDue)
	}
}

// Close is FIN in one direction and RST in the other.
func (e *pipeEnd) Close() error {
	e.once.Do(func() {
		e.out.change(func() { e.out.ended = true })
		e.in.change(func() {
			if e.in.broken == nil {
				e.in.broken = net.ErrClosed
			}
		})
	})
	return nil
}

// cut breaks the connection in both directions.
func (e *pipeEnd) cut(err error) {
	e.in.change(func() { e.in.broken = err })
	e.out.change(func() { e.out.broken = err })
}

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }

func (e *pipeEnd) LocalAddr() net.Addr  { return pipeAddr("local") }
func (e *pipeEnd) RemoteAddr() net.Addr { return pipeAddr("remote") }

func (e *pipeEnd) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *pipeEnd) SetReadDeadline(t time.Time) error {
	e.in.change(func() { e.in.rDue = t })
	return nil
}

func (e *pipeEnd) SetWriteDeadline(t time.Time) error {
	e.out.change(func() { e.out.wDue = t })
	return nil
}
