package callboard_test

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/interop"
)

func TestServerSupervisionWatches(t *testing.T) {
	id, err := interop.ServerIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	failures := make(chan callboard.Failure, 10)
	watch := callboard.WithSupervision(func(f callboard.Failure) callboard.Directive {
		failures <- f
		panic("the server survives its supervisor")
	})
	sys, err := callboard.NewSystem(callboard.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Shutdown(soon(t)) })
	srv := sys.NewServer(watch, callboard.Creds(credentials.NewServerTLSFromCert(&id)))
	addr := playbook{unary: echo}.start(t, srv)
	for n := 1; n <= 2; n++ {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write([]byte("this is not TLS\n"))
		_ = nc.Close()
		select {
		case f := <-failures:
			if f.Kind != callboard.HandshakeFailed || f.Count != n || f.Path == "" {
				t.Errorf("%+v", f)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("nobody was told")
		}
	}
}
