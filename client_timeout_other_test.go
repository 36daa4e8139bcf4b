//go:build !linux

package callboard_test

import (
	"net"
	"testing"
	"time"
)

// userTimeout says that there is no such thing here.
func userTimeout(*testing.T, net.Conn) (time.Duration, bool) { return 0, false }
