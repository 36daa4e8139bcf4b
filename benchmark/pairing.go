package main

import (
	"crypto/tls"
	"errors"
	"net"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

// pairing is a running server and the recipe for channels to it.
type pairing struct {
	caller Stack
	tls    *tls.Config // the client's, nil for plaintext
	addr   string
	srv    Server
	served chan error
}

// startPairing serves BenchmarkService on loopback.
func startPairing(server, client Stack, secure bool) (*pairing, error) {
	p := &pairing{caller: client, served: make(chan error, 1)}
	var serverTLS *tls.Config
	if secure {
		var err error
		if serverTLS, p.tls, err = certificates(); err != nil {
			return nil, err
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.addr = lis.Addr().String()
	p.srv = server.NewServer(serverTLS)
	pb.RegisterBenchmarkServiceServer(p.srv, service{})
	go func() { p.served <- p.srv.Serve(lis) }()
	return p, nil
}

func (p *pairing) dial() (Client, error) { return p.caller.NewClient(p.addr, p.tls) }

// stop ends the server; it returns what Serve did.
func (p *pairing) stop() error {
	p.srv.Stop()
	if err := <-p.served; err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// ends names the stacks of a measurement: other plays what w leaves to it.
func (w workload) ends(subject, other Stack) (server, client Stack) {
	switch w.mix {
	case serverOnly:
		return subject, other
	case clientOnly:
		return other, subject
	default:
		return subject, subject
	}
}
