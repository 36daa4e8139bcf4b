package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
)

// measureIdle opens w.n connections or streams, uses each once, and divides
// what the process has grown by.
func measureIdle(s settings, w workload, p *pairing) (figures, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var held []io.Closer
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	var open func() (io.Closer, error)
	switch w.kind {
	case idleConns:
		open = func() (io.Closer, error) { return usedConn(ctx, p) }
	case idleServerConns:
		open = func() (io.Closer, error) { return bareConn(p.to.addrs[0]) }
	default:
		cc, err := usedConn(ctx, p)
		if err != nil {
			return figures{}, err
		}
		defer cc.Close() //nolint:errcheck // the streams are over
		open = func() (io.Closer, error) { return usedStream(ctx, cc) }
	}
	// The first one pays for what all share.
	first, err := open()
	if err != nil {
		return figures{}, err
	}
	held = append(held, first)
	before := takeFootprint(s.settle)
	for range w.n {
		c, err := open()
		if err != nil {
			return figures{}, fmt.Errorf("after %d: %w", len(held), err)
		}
		held = append(held, c)
	}
	each := takeFootprint(s.settle).since(before, w.n)
	return figures{Bytes: each.bytes, Goroutines: each.goroutines}, nil
}

func usedConn(ctx context.Context, p *pairing) (Client, error) {
	cc, err := p.dial()
	if err != nil {
		return nil, err
	}
	if err := hearFrom(ctx, cc, len(p.to.addrs)); err != nil {
		_ = cc.Close()
		return nil, err
	}
	return cc, nil
}

// hearFrom calls until so many servers have answered.
func hearFrom(ctx context.Context, cc Client, servers int) error {
	cl := pb.NewBenchmarkServiceClient(cc)
	q := &pb.SimpleRequest{ResponseSize: smallBody, Payload: payload(smallBody)}
	heard := map[string]bool{}
	for len(heard) < servers {
		var from peer.Peer
		if _, err := cl.UnaryCall(ctx, q, grpc.Peer(&from)); err != nil {
			return fmt.Errorf("%d of %d servers have answered: %w", len(heard), servers, err)
		}
		heard[from.Addr.String()] = true
	}
	return nil
}

// heldStream closes a bidi stream by half-closing it.
type heldStream struct {
	pb.BenchmarkService_StreamingCallClient
}

func (h heldStream) Close() error { return h.CloseSend() }

func usedStream(ctx context.Context, cc Client) (io.Closer, error) {
	st, err := pb.NewBenchmarkServiceClient(cc).StreamingCall(ctx)
	if err != nil {
		return nil, err
	}
	if err := st.Send(&pb.SimpleRequest{ResponseSize: smallBody, Payload: payload(smallBody)}); err != nil {
		return nil, err
	}
	if _, err := st.Recv(); err != nil {
		return nil, err
	}
	return heldStream{st}, nil
}

// footprint is what the process holds: live heap and stacks.
type footprint struct {
	bytes      float64
	goroutines float64
}

// since is what each of n has added.
func (b footprint) since(a footprint, n int) footprint {
	return footprint{bytes: (b.bytes - a.bytes) / float64(n), goroutines: (b.goroutines - a.goroutines) / float64(n)}
}

// takeFootprint waits first, so that what is released lazily after the last call
// is released.
func takeFootprint(settle time.Duration) footprint {
	time.Sleep(settle)
	// Twice, because a sync.Pool gives up what it holds over two collections.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{bytes: float64(m.HeapAlloc) + float64(m.StackInuse), goroutines: float64(runtime.NumGoroutine())}
}
