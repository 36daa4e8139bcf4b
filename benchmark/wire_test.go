package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

// wiretap relays connections to addr and keeps what clients send.
type wiretap struct {
	lis  net.Listener
	done sync.WaitGroup

	mu   sync.Mutex
	sent bytes.Buffer
}

func (w *wiretap) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.Write(b)
}

func tap(t *testing.T, addr string) *wiretap {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{lis: lis}
	w.done.Go(func() {
		for {
			client, err := lis.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				_ = client.Close()
				return
			}
			relay := func(to, from net.Conn, copyTo io.Writer) {
				_, _ = io.Copy(copyTo, from)
				_ = to.Close()
				_ = from.Close()
			}
			w.done.Go(func() { relay(server, client, io.MultiWriter(w, server)) })
			w.done.Go(func() { relay(client, server, client) })
		}
	})
	return w
}

// TestSecureWorkloadsEncrypt looks at the bytes themselves: that the handshake
// took place says nothing about what follows it, and a TLS figure measured over
// plaintext looks like any other.
func TestSecureWorkloadsEncrypt(t *testing.T) {
	mark := []byte("a payload that must not be readable on the wire")
	for name, st := range known {
		for _, secure := range []bool{false, true} {
			p, err := startPairing(workload{tls: secure}, st, st)
			if err != nil {
				t.Fatal(err)
			}
			w := tap(t, p.to.addrs[0])
			cc, err := st.NewClient(route{addrs: []string{w.lis.Addr().String()}}, p.tls)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			q := &pb.SimpleRequest{ResponseSize: smallBody, Payload: &pb.Payload{Body: mark}}
			if _, err := pb.NewBenchmarkServiceClient(cc).UnaryCall(ctx, q); err != nil {
				t.Errorf("%s, secure %v: %v", name, secure, err)
			}
			cancel()
			_ = cc.Close()
			if err := p.stop(); err != nil {
				t.Error(err)
			}
			_ = w.lis.Close()
			w.done.Wait()
			if readable := bytes.Contains(w.sent.Bytes(), mark); readable == secure {
				t.Errorf("%s, secure %v: payload readable on the wire: %v", name, secure, readable)
			}
		}
	}
}
