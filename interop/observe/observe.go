// Package observe tells whether a received message was compressed on the wire.
// No gRPC API for Go shows the compressed flag of a message, but every stats
// handler sees its size before and after decompression.
package observe

import (
	"context"
	"sync"

	"google.golang.org/grpc/stats"
)

// Messages remembers, for one RPC, which received messages were compressed.
type Messages struct {
	mu         sync.Mutex
	compressed []bool
}

type key struct{}

// Watch returns a context whose RPC is observed by Handler.
func Watch(ctx context.Context) (context.Context, *Messages) {
	m := new(Messages)
	return context.WithValue(ctx, key{}, m), m
}

// FromContext returns the observation of the RPC of ctx. It is nil when the
// server was built without Handler.
func FromContext(ctx context.Context) *Messages {
	m, _ := ctx.Value(key{}).(*Messages)
	return m
}

// Compressed reports whether the i-th received message (from 0) was
// compressed; ok is false when no such message was seen.
func (m *Messages) Compressed(i int) (compressed, ok bool) {
	if m == nil {
		return false, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 0 || i >= len(m.compressed) {
		return false, false
	}
	return m.compressed[i], true
}

func (m *Messages) add(compressed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compressed = append(m.compressed, compressed)
}

// Handler is the stats handler that fills Messages, for servers and clients.
// A client RPC is observed only after Watch, a server RPC always.
type Handler struct{}

// TagRPC starts an observation unless the caller did. A client RPC without one
// gets an observation nobody looks at, which costs little in a test binary.
func (Handler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if FromContext(ctx) == nil {
		ctx, _ = Watch(ctx)
	}
	return ctx
}

// HandleRPC records messages as they come in. Compression never leaves the
// size as it was, except for an empty message, which is never compressed.
func (Handler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	in, ok := s.(*stats.InPayload)
	if !ok {
		return
	}
	if m := FromContext(ctx); m != nil {
		m.add(in.CompressedLength != in.Length)
	}
}

// TagConn leaves ctx as it is.
func (Handler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn ignores connection events.
func (Handler) HandleConn(context.Context, stats.ConnStats) {}
