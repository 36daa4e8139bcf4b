package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard"
)

// rig is one system with a server and a client that talk over loopback TCP.
type rig struct {
	sys      *callboard.System
	srv      *callboard.Server
	cc       *callboard.ClientConn
	lis      *cuttable
	served   chan error
	failures chan noted
	closing  atomic.Bool
}

// noted is a Failure, when the supervisor was told, and its answer.
type noted struct {
	at      time.Time
	failure callboard.Failure
	answer  callboard.Directive
}

func newRig() (*rig, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &rig{lis: &cuttable{Listener: lis}, served: make(chan error, 1), failures: make(chan noted, 16)}
	if r.sys, err = callboard.NewSystem(callboard.WithName("demo")); err != nil {
		return nil, errors.Join(err, lis.Close())
	}
	r.srv = r.sys.NewServer()
	pb.RegisterBenchmarkServiceServer(r.srv, &service{})
	go func() { r.served <- r.srv.Serve(r.lis) }()

	r.cc, err = r.sys.NewClient(lis.Addr().String(),
		callboard.WithTransportCredentials(insecure.NewCredentials()),
		callboard.WithSupervision(r.supervise),
	)
	if err != nil {
		return nil, errors.Join(err, r.close(context.Background()))
	}
	return r, nil
}

// supervise decides what follows the loss of the client's connection. It runs
// on the subchannel's turn and must not block, so the printing is left to
// others.
func (r *rig) supervise(f callboard.Failure) callboard.Directive {
	if r.closing.Load() {
		return callboard.Default()
	}
	answer := callboard.Default()
	if f.Kind == callboard.PeerGone {
		answer = callboard.Reconnect(0)
	}
	select {
	case r.failures <- noted{at: time.Now(), failure: f, answer: answer}:
	default: // the screen is behind; what to do does not depend on it
	}
	return answer
}

// connect waits until the client's connection is ready.
func (r *rig) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	r.cc.Connect()
	for st := r.cc.GetState(); st != connectivity.Ready; st = r.cc.GetState() {
		if !r.cc.WaitForStateChange(ctx, st) {
			return fmt.Errorf("the client is %v after %v", st, connectLimit)
		}
	}
	return nil
}

// close ends the client, drains the server and stops the actors.
func (r *rig) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownLimit)
	defer cancel()
	r.closing.Store(true)
	var closed error
	if r.cc != nil {
		closed = r.cc.Close()
	}
	err := errors.Join(closed, r.sys.Shutdown(ctx))
	select {
	case served := <-r.served:
		return errors.Join(err, served)
	case <-ctx.Done():
		return errors.Join(err, errors.New("the server still serves"))
	}
}
