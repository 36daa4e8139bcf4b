package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// bareServers are listeners that speak just enough HTTP/2 to be clients' servers:
// SETTINGS, PING, and one answer to whatever is asked. A connection is a
// goroutine and a few kilobytes, so a thousand of them weigh little beside the
// clients' ends of theirs.
type bareServers struct {
	addrs []string
	liss  []net.Listener
	// settled are the connections whose client has acknowledged the server's
	// SETTINGS: it has seen them, so it is READY.
	settled atomic.Int64
	changed chan struct{} // settled is another; holds one
	block   answerBlocks
	done    sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil once stopped
}

// answerBlocks are HPACK blocks that leave the dynamic table alone, so that they
// mean the same on every connection.
type answerBlocks struct{ header, trailer []byte }

func startBareServers(n int) (*bareServers, error) {
	b := &bareServers{changed: make(chan struct{}, 1), open: map[net.Conn]bool{}}
	b.block.header = literal(hpack.HeaderField{Name: ":status", Value: "200"},
		hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
	b.block.trailer = literal(hpack.HeaderField{Name: "grpc-status", Value: "0"})
	for range n {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.stop()
			return nil, err
		}
		b.liss, b.addrs = append(b.liss, lis), append(b.addrs, lis.Addr().String())
		b.done.Go(func() { b.accept(lis) })
	}
	return b, nil
}

func literal(fs ...hpack.HeaderField) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fs {
		f.Sensitive = true    // never indexed
		_ = enc.WriteField(f) // a bytes.Buffer takes everything
	}
	return block.Bytes()
}

func (b *bareServers) accept(lis net.Listener) {
	for {
		nc, err := lis.Accept()
		if err != nil {
			return
		}
		if !b.hold(nc) {
			_ = nc.Close()
			return
		}
		b.done.Go(func() {
			b.serve(nc)
			b.mu.Lock()
			delete(b.open, nc)
			b.mu.Unlock()
		})
	}
}

func (b *bareServers) hold(nc net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return false
	}
	b.open[nc] = true
	return true
}

// serve ends with the connection.
func (b *bareServers) serve(nc net.Conn) {
	defer nc.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(nc, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	var out bytes.Buffer
	fr := http2.NewFramer(&out, nc)
	_ = fr.WriteSettings() // writes to a bytes.Buffer do not fail
	settled := false
	for {
		if _, err := nc.Write(out.Bytes()); err != nil {
			break
		}
		out.Reset()
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		if f, ok := f.(*http2.SettingsFrame); ok && f.IsAck() && !settled {
			settled = true
			b.count(1)
		}
		b.answer(fr, f)
	}
	if settled {
		b.count(-1)
	}
}

func (b *bareServers) answer(fr *http2.Framer, f http2.Frame) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			_ = fr.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = fr.WritePing(true, f.Data)
		}
	case *http2.DataFrame:
		if !f.StreamEnded() {
			return
		}
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: b.block.header, EndHeaders: true})
		_ = fr.WriteData(f.StreamID, false, make([]byte, 5)) // an empty message
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: b.block.trailer, EndHeaders: true, EndStream: true})
	}
}

func (b *bareServers) count(n int64) {
	b.settled.Add(n)
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// await waits until there are exactly n connections. One may wait at a time.
func (b *bareServers) await(ctx context.Context, n int) error {
	for b.settled.Load() != int64(n) {
		select {
		case <-b.changed:
		case <-ctx.Done():
			return fmt.Errorf("%d connections of %d: %w", b.settled.Load(), n, ctx.Err())
		}
	}
	return nil
}

// stop ends what is still open; clients do better to close first.
func (b *bareServers) stop() {
	for _, lis := range b.liss {
		_ = lis.Close()
	}
	b.mu.Lock()
	for nc := range b.open {
		_ = nc.Close()
	}
	b.open = nil
	b.mu.Unlock()
	b.done.Wait()
}
