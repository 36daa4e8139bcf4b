//go:build unix

package demo

import (
	"os"

	"golang.org/x/sys/unix"
)

// columnsOf is a terminal's width, or 0 when f is none.
func columnsOf(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return max(int(ws.Col), 1)
}
