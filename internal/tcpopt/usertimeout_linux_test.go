package tcpopt

import (
	"net"
	"testing"
	"time"
)

func TestUserTimeoutIsSet(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	nc, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := SetUserTimeout(nc, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if d, err := UserTimeout(nc); err != nil || d != 20*time.Second {
		t.Errorf("reads back as %v, %v", d, err)
	}
}
