//go:build unix

package conn

import (
	"errors"
	"syscall"
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

func again(err error) bool { return err != nil && errors.Is(err, syscall.EAGAIN) }
