//go:build unix

package conn

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

const canPoll = true

func readFD(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func writeFD(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func again(err error) bool { return err != nil && errors.Is(err, syscall.EAGAIN) }

// readableFD says whether a read would not block. It takes little stack: it is
// what sleeps.
func readableFD(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p[:], 0)
	return n > 0 || err != nil && !errors.Is(err, syscall.EINTR)
}
