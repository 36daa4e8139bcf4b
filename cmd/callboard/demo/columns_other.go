//go:build !unix

package demo

import "os"

// columnsOf is a terminal's width, or 0 when f is none.
func columnsOf(f *os.File) int {
	if fi, err := f.Stat(); err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		return 0
	}
	return width
}
