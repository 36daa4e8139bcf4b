//go:build !unix

package conn

import "errors"

const canPoll = false

func readFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func again(error) bool { return false }

func writeFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func readableFD(uintptr) bool { return true }
