package conn

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// source reads a socket for the frame reader. Where the socket allows it, an
// idle connection holds no read buffer: waiting happens in the runtime's
// poller, and a buffer is taken only for the read that follows.
type source struct {
	nc    net.Conn
	raw   syscall.RawConn // nil: plain blocking reads
	pool  *[]byte         // what the last wait read, and did not hand on yet
	ahead []byte
	err   error
	try   func(fd uintptr) bool // readOnce, bound once

	block func() uint64 // names the header block that has begun and not ended; 0: none
	slow  uint64        // the block the read deadline was set for
}

// headerTime is how long a header block may take to arrive: until its end
// nothing else can be read, and its octets are memory of ours.
const headerTime = 10 * time.Second

// limitBlock sets the read deadline when a header block is begun, and takes it
// away behind it.
func (s *source) limitBlock() {
	b := s.block()
	if b == s.slow {
		return
	}
	s.slow = b
	var at time.Time
	if b != 0 {
		at = time.Now().Add(headerTime)
	}
	_ = s.nc.SetReadDeadline(at) // a socket that cannot is one that is closed
}

const aheadSize = 32 << 10

var aheadPool = sync.Pool{New: func() any { b := make([]byte, aheadSize); return &b }}

func newSource(nc net.Conn) *source {
	s := &source{nc: nc}
	if sc, ok := plain(nc); ok && canPoll {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.try = s.readOnce
		}
	}
	return s
}

// plain says whether what the descriptor yields is what Read yields. A secured
// connection may well have the descriptor of the socket below it (grpc-go's
// credentials see to that).
func plain(nc net.Conn) (syscall.Conn, bool) {
	switch nc := nc.(type) {
	case *net.TCPConn:
		return nc, true
	case *net.UnixConn:
		return nc, true
	}
	return nil, false
}

// WaitReadable blocks until there is something to read.
func (s *source) WaitReadable() error {
	if s.raw == nil || len(s.ahead) > 0 {
		return nil
	}
	s.limitBlock()
	if err := s.raw.Read(s.try); err != nil {
		return err
	}
	return s.err
}

// readOnce reads without blocking; false makes the poller wait. The poller
// forgets what became readable before it was asked, so looking means reading.
func (s *source) readOnce(fd uintptr) bool {
	b := aheadPool.Get().(*[]byte)
	n, err := readFD(fd, *b)
	switch {
	case again(err):
		aheadPool.Put(b)
		return false
	case err != nil:
		aheadPool.Put(b)
		s.err = &net.OpError{Op: "read", Net: s.nc.LocalAddr().Network(), Source: s.nc.LocalAddr(), Addr: s.nc.RemoteAddr(), Err: err}
	case n == 0:
		aheadPool.Put(b)
		s.err = io.EOF
	default:
		s.pool, s.ahead = b, (*b)[:n]
	}
	return true
}

// Read takes what WaitReadable read first.
func (s *source) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		if len(s.ahead) == 0 {
			aheadPool.Put(s.pool)
			s.pool, s.ahead = nil, nil
		}
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	s.limitBlock()
	return s.nc.Read(p)
}
