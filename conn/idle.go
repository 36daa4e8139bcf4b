package conn

import (
	"errors"
	"os"
	"time"
)

// A goroutine that has read keeps the stack it has read with: 8 KB, because the
// collector takes back only what is less than a quarter full. So the reader does
// not wait for long. When nothing has come for a while its goroutine ends, and
// another takes its place that does nothing but wait, on the 2 KB it was born
// with.

// idleAfter is how long a reader waits by itself, and up to twice as long.
const idleAfter = 100 * time.Millisecond

// await blocks until there is something to read. It says false when nothing has
// come for so long that one had better sleep. To be called between two frames.
func (s *source) await() (ready bool, err error) {
	if s.raw == nil || len(s.ahead) > 0 {
		return true, nil
	}
	s.limitBlock() // none is open: the last one's deadline is taken away
	for {
		if !s.watched {
			s.watched, s.came = true, false
			_ = s.nc.SetReadDeadline(time.Now().Add(idleAfter)) // fails where reading does
		}
		err := s.raw.Read(s.try)
		if err == nil {
			s.came = true
			return true, s.err
		}
		if came := s.came; !s.unwatch(err) {
			return true, err
		} else if !came {
			return false, nil
		}
	}
}

// unwatch says that err is only await's deadline, and takes that away.
func (s *source) unwatch(err error) bool {
	if !s.watched || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.watched = false
	_ = s.nc.SetReadDeadline(time.Time{})
	return true
}

// sleep blocks until the socket is readable, or broken.
func (s *source) sleep() { _ = s.raw.Read(readableFD) }
