package main

import (
	"crypto/tls"
	"errors"
	"net"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

// pairing is running servers and the recipe for channels to them.
type pairing struct {
	caller Stack
	tls    *tls.Config // the client's, nil for plaintext
	to     route
	srvs   []Server
	served chan error // what each Serve returned
}

// startPairing serves BenchmarkService on loopback, on as many servers as w
// wants. A pairing that could not be started whole is stopped again.
func startPairing(w workload, server, client Stack) (*pairing, error) {
	p := &pairing{caller: client, to: route{policy: w.policy()}, served: make(chan error, w.servers())}
	var serverTLS *tls.Config
	if w.tls {
		var err error
		if serverTLS, p.tls, err = certificates(); err != nil {
			return nil, err
		}
	}
	for range w.servers() {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, p.stop())
		}
		srv := server.NewServer(serverTLS, w.streams())
		pb.RegisterBenchmarkServiceServer(srv, service{})
		p.to.addrs, p.srvs = append(p.to.addrs, lis.Addr().String()), append(p.srvs, srv)
		go func() { p.served <- srv.Serve(lis) }()
	}
	return p, nil
}

func (p *pairing) dial() (Client, error) { return p.caller.NewClient(p.to, p.tls) }

// stop ends the servers; it returns what Serve did.
func (p *pairing) stop() error {
	var failed error
	for _, srv := range p.srvs {
		srv.Stop()
	}
	for range p.srvs {
		if err := <-p.served; err != nil && !errors.Is(err, net.ErrClosed) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
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
