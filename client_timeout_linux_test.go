package callboard_test

import (
	"net"
	"testing"
	"time"

	"github.com/callboard-rpc/callboard/internal/tcpopt"
)

// userTimeout asks the kernel for a socket's TCP_USER_TIMEOUT.
func userTimeout(t *testing.T, nc net.Conn) (time.Duration, bool) {
	t.Helper()
	d, err := tcpopt.UserTimeout(nc)
	if err != nil {
		t.Fatal(err)
	}
	return d, true
}
