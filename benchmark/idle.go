package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"
)

// settleTime lets what is released lazily after the last call be released.
const settleTime = 500 * time.Millisecond

// measureIdle opens w.n connections or streams, uses each once, and divides
// what the process has grown by.
func measureIdle(w workload, p *pairing) (figures, error) {
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
		open = func() (io.Closer, error) { return bareConn(p.addr) }
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
	before := takeFootprint()
	for range w.n {
		c, err := open()
		if err != nil {
			return figures{}, fmt.Errorf("after %d: %w", len(held), err)
		}
		held = append(held, c)
	}
	after := takeFootprint()
	return figures{
		Bytes:      (after.bytes - before.bytes) / float64(w.n),
		Goroutines: (after.goroutines - before.goroutines) / float64(w.n),
	}, nil
}

func usedConn(ctx context.Context, p *pairing) (Client, error) {
	cc, err := p.dial()
	if err != nil {
		return nil, err
	}
	q := &pb.SimpleRequest{ResponseSize: smallBody, Payload: payload(smallBody)}
	if _, err := pb.NewBenchmarkServiceClient(cc).UnaryCall(ctx, q); err != nil {
		_ = cc.Close()
		return nil, err
	}
	return cc, nil
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

func takeFootprint() footprint {
	time.Sleep(settleTime)
	// Twice, because a sync.Pool gives up what it holds over two collections.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{bytes: float64(m.HeapAlloc) + float64(m.StackInuse), goroutines: float64(runtime.NumGoroutine())}
}
