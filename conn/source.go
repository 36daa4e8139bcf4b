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
	limit time.Duration // how long one may take: until its end nothing else can be read, and its octets are memory of ours
	slow  uint64        // the block the read deadline was set for

	watched bool // the read deadline is await's
	came    bool // something has been read since it was set
}

// limitBlock sets the read deadline when a header block is begun, and takes it
// away behind it.
func (s *source) limitBlock() {
	b := s.block()
	if b == s.slow || s.limit < 0 {
		return
	}
	s.slow, s.watched = b, false
	var at time.Time
	if b != 0 {
		at = time.Now().Add(s.limit)
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
	for {
		switch err := s.raw.Read(s.try); {
		case err == nil:
			return s.err
		case !s.unwatch(err):
			return err
		}
	}
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
		s.err = socketError("read", s.nc, err)
	case n == 0:
		aheadPool.Put(b)
		s.err = io.EOF
	default:
		s.pool, s.ahead = b, (*b)[:n]
	}
	return true
}

// socketError is what package net would say of a failed system call.
func socketError(op string, nc net.Conn, err error) error {
	return &net.OpError{Op: op, Net: nc.LocalAddr().Network(), Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
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
	for {
		n, err := s.nc.Read(p)
		if n > 0 || err == nil || !s.unwatch(err) {
			return n, err
		}
	}
}
