package callboard_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/interop"
)

// ended waits until the other side has closed nc, and says after how long.
func ended(t *testing.T, nc net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	_ = nc.SetReadDeadline(began.Add(10 * time.Second))
	for {
		if _, err := nc.Read(make([]byte, 1<<10)); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Fatal("the connection is still open")
			}
			return time.Since(began)
		}
	}
}

// TLS is part of the handshake, and of its time.
func TestTLSHandshakeHasItsTime(t *testing.T) {
	const limit = 200 * time.Millisecond
	id, err := interop.ServerIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, say := range map[string]func(t *testing.T, nc net.Conn){
		"says nothing": func(*testing.T, net.Conn) {},
		"stalls in the middle": func(t *testing.T, nc net.Conn) {
			// A whole ClientHello, and nothing after it.
			hello := &firstWrite{Conn: nc}
			if err := tls.Client(hello, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake(); err == nil { //nolint:gosec // it ends before there is a certificate
				t.Fatal("the handshake came to its end")
			}
		},
		"stalls behind it": func(t *testing.T, nc net.Conn) {
			if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake(); err != nil { //nolint:gosec // a client that wants nothing
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newSystem(t).NewServer(callboard.Creds(interop.ServerTLS(id, nil)), callboard.ConnectionTimeout(limit))
			addr := playbook{unary: echo}.start(t, srv)
			began := time.Now()
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			say(t, nc)
			ended(t, nc)
			if took := time.Since(began); took < limit*9/10 || took > 5*time.Second {
				t.Errorf("closed after %v, want %v", took, limit)
			}
		})
	}
}

// firstWrite lets one write through and nothing back.
type firstWrite struct{ net.Conn }

func (f *firstWrite) Read([]byte) (int, error) { return 0, io.EOF }

// Our client takes a TLS server that agrees on no protocol for what it may be:
// anything.
func TestClientWantsALPN(t *testing.T) {
	id, err := interop.ServerIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := interop.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	for name, protos := range map[string][]string{"none": nil, "another one": {"http/1.1"}} {
		t.Run(name, func(t *testing.T) {
			lis, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{id}, NextProtos: protos, MinVersion: tls.VersionTLS12})
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan int, 1)
			go func() {
				nc, err := lis.Accept()
				if err != nil {
					heard <- 0
					return
				}
				_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
				n, _ := io.Copy(io.Discard, nc)
				_ = nc.Close()
				heard <- int(n)
			}()
			cc, err := newSystem(t).NewClient(lis.Addr().String(), callboard.WithTransportCredentials(interop.ClientTLS(roots, testServerName)))
			if err != nil {
				t.Fatal(err)
			}
			if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); status.Code(err) != codes.Unavailable {
				t.Errorf("got %v, want Unavailable", err)
			}
			_ = lis.Close()
			if n := <-heard; n > 0 {
				t.Errorf("%d octets were said to it", n)
			}
		})
	}
}

// dispatching are credentials that find that connections are somebody else's.
type dispatching struct {
	credentials.TransportCredentials
	to chan net.Conn
}

func (d dispatching) ServerHandshake(nc net.Conn) (net.Conn, credentials.AuthInfo, error) {
	d.to <- nc
	return nil, nil, credentials.ErrConnDispatched
}

func (d dispatching) Clone() credentials.TransportCredentials { return d }

func TestDispatchedConnectionsAreLeftAlone(t *testing.T) {
	const limit = 100 * time.Millisecond
	d := dispatching{to: make(chan net.Conn, 1)}
	failures := make(chan callboard.Failure, 10)
	sys := newSystem(t)
	srv := sys.NewServer(callboard.Creds(d), callboard.ConnectionTimeout(limit), callboard.WithSupervision(func(f callboard.Failure) callboard.Directive {
		failures <- f
		return callboard.Directive{}
	}))
	addr := playbook{unary: echo}.start(t, srv)
	theirs, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Close() }()
	ours := <-d.to
	defer func() { _ = ours.Close() }()
	awaitKind(t, sys, "conn", 0)
	time.AfterFunc(2*limit, func() { _, _ = theirs.Write([]byte("late")) })
	b := make([]byte, 4)
	if _, err := io.ReadFull(ours, b); err != nil || string(b) != "late" {
		t.Errorf("the new owner got %q, %v", b, err)
	}
	select {
	case f := <-failures:
		t.Errorf("a failure: %+v", f)
	default:
	}
}
